"""Table 1 against arithmetic."""

from itertools import pairwise

from sharpmin.paper.configurations import configurations


def dense(inputs, outputs, *, norm=True):
    return inputs * outputs + outputs + 2 * outputs * norm


def test_weights_and_batches():
    rows = {row.network: row for row in configurations()}
    f1 = dense(784, 512) + 4 * dense(512, 512) + dense(512, 10, norm=False)
    f2 = dense(360, 512) + 6 * dense(512, 512) + dense(512, 1973, norm=False)
    c1 = dense(75, 64) + dense(25 * 64, 64) + dense(4096, 384) + dense(384, 192) + dense(192, 10, norm=False)
    stacks = [3, 64, 64, 128, 128, *[256] * 3, *[512] * 6]
    c2 = sum(dense(9 * i, o) for i, o in pairwise(stacks))
    c2 += dense(512, 512) + dense(512, 10, norm=False)
    assert [rows[name].weights for name in ("F1", "F2", "C1", "C2")] == [f1, f2, c1, c2]
    assert rows["C3"].weights - c1 == 90 * 193
    assert [rows[name].large_batch for name in ("F1", "F2", "C1")] == [6000, 72_132, 5000]
