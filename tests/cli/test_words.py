"""What is typed for a number is that number, or refused."""

import pytest

from sharpmin.cli import run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("plot -n F1 --epochs 1.5", "Invalid value for --epochs: 1.5 is not a whole number"),
        ("sharpness mytask:make --iterations 1.99", "Invalid value for --iterations: 1.99 is not a whole number"),
        ("paper batch-sizes -n F1 --sizes 1.5 2", "Invalid value for --sizes: 1.5 is not a whole number"),
        ("plan F1 --memory nan", "Invalid value for --memory: nan is not a finite number"),
        ("doctor --seconds inf", "Invalid value for --seconds: inf is not a finite number"),
        ("sharpness mytask:make --epsilon 1e-3 nan", "Invalid value for --epsilon: nan is not a finite number"),
        ("sharpness mytask:make --seed -1", "Invalid value for --seed: -1 is below 0"),
        ("plan F1 --epochs 0", "--epochs 0: give at least 1"),
        ("plan F1 --seconds -1", "--seconds -1: give more than 0"),
        ("doctor --seconds 0", "--seconds 0: give more than 0"),
        ("paper foo", "paper has no command 'foo': choose among all, batch-sizes,"),
        ("data fetch", 'Command "data fetch" parameter NAME requires an argument'),
        ("sweep f1-trials --budget=", "--budget '': give full, or some of images=N"),
        ("doctor --seconds x", 'Invalid value for --seconds: unable to convert "x" into float'),
        ("sharpness mytask:make --epsilon", "parameter --epsilon requires at least 1 element. Got 0"),
        ("sharpness mytask:make --only", "parameter --only requires at least 1 element. Got 0"),
    ],
)
def test_what_is_no_number_or_nothing_is_refused(arguments, said, capsys):
    assert run(arguments.split()) == 2
    assert said in capsys.readouterr().err
