"""A small language model, trained with small and with large batches, then measured.

    python examples/transformer.py    # trains; writes transformer/small.safetensors and transformer/large.safetensors
    sharpmin compare examples/transformer.py:make transformer/small.safetensors transformer/large.safetensors
    sharpmin path examples/transformer.py:make transformer/small.safetensors transformer/large.safetensors

Batches are dicts, the loss is a sum over tokens with their count, and the output layer shares its weight with the
embedding. Everything but `make` and `loss` is training code as anyone has it. The text is the help that comes with
Python (pydoc_data), a little different in each of its versions; EXAMPLE_DATA=tiny in the environment takes less of it.
"""

import argparse
import os
from pathlib import Path
from pydoc_data.topics import topics

import torch
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

LENGTH, VOCABULARY = 64, 96  # characters in a sequence; newline and the 95 that ASCII can print
Batch = dict[str, Tensor]


class Layer(nn.Module):
    """Causal self-attention and a feed-forward part, each behind a LayerNorm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> [B, T, width]."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.norm2(x))


class Transformer(nn.Module):
    """A decoder of two layers over characters, with dropout and tied embeddings: 59 000 weights."""

    def __init__(self, width: int = 48, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(VOCABULARY, width), nn.Embedding(LENGTH, width)
        self.dropout = nn.Dropout(0.1)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        for embedding in (self.embedding, self.position):
            nn.init.normal_(embedding.weight, std=0.1)
        self.head.weight = self.embedding.weight

    def forward(self, input_ids: Tensor) -> Tensor:
        """Characters [B, T] -> logits of the next ones [B, T, VOCABULARY]."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.dropout(self.embedding(input_ids) + self.position(positions))
        return self.head(self.norm(self.layers(x)))


def dataset() -> list[Batch]:
    """Sequences of the text, and the characters that follow; -100 for what is not to be predicted."""
    size = 48 if os.environ.get("EXAMPLE_DATA") == "tiny" else 256
    text = "\n".join(topics[name] for name in sorted(topics))[: size * LENGTH + 1]
    codes = [ord(letter) - 31 if " " <= letter <= "~" else 0 for letter in text]
    ids = torch.tensor(codes)
    inputs, labels = ids[:-1].view(size, LENGTH), ids[1:].view(size, LENGTH).clone()
    labels[:, :8] = -100  # they have too little to go by
    return [{"input_ids": x, "labels": y} for x, y in zip(inputs, labels, strict=True)]


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
    """The summed cross-entropy of a batch's tokens, and how many there are: f is the mean over tokens."""
    logits, labels = model(batch["input_ids"]).flatten(0, 1), batch["labels"].flatten()
    return F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum"), int((labels != -100).sum())


def train(batch_size: int, epochs: int, file: Path) -> None:
    """Train from the seed's starting point and save the weights."""
    torch.manual_seed(0)
    model = Transformer()
    loader = DataLoader(dataset(), batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in loader:
            optimizer.zero_grad()
            total, count = loss(model, batch)
            (total / count).backward()
            optimizer.step()
    print(f"batch size {batch_size}: last batch's loss {total.item() / count:.3f}")
    save_model(model, str(file))  # stores a tied weight once


def make() -> tuple[nn.Module, DataLoader, object]:
    """What sharpmin needs: the network, the data that f is the mean over, and the loss."""
    return Transformer(), DataLoader(dataset(), batch_size=16, shuffle=True), loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train with small and with large batches.")
    parser.add_argument("--epochs", type=int, nargs=2, default=[20, 60], help="with small and with large batches")
    parser.add_argument("--out", type=Path, default=Path("transformer"))
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    train(8, options.epochs[0], options.out / "small.safetensors")
    train(64, options.epochs[1], options.out / "large.safetensors")
