"""An epoch of training: sharpmin's, and the plain port's loop around the same network."""

import plain_port
from torch import nn

from sharpmin.data import Examples
from sharpmin.train_config import TrainConfig
from sharpmin.training import train
from sides.problem import Problem

ALIKE = 64  # images of the training that must come out alike
EPOCHS = 3  # of it


def epoch(side: str, model: nn.Module, examples: Examples, *, batch_size: int, epochs: int = 1) -> float:
    """Train; the mean loss of the last epoch, as trained."""
    if side == "sharpmin":
        config = TrainConfig(batch_size=batch_size, epochs=epochs)
        return train(model, examples, config).history[-1].train_loss
    return plain_port.train(model, (examples.inputs, examples.targets), batch_size=batch_size, epochs=epochs)


def loss_without_chance(side: str, problem: Problem) -> float:
    """The loss after a few steps on the same few images whole, without dropout: no order and no mask to differ in."""
    model, examples = problem.model(), problem.examples()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    few = Examples(examples.inputs[:ALIKE], examples.targets[:ALIKE])
    return epoch(side, model, few, batch_size=len(few), epochs=EPOCHS)
