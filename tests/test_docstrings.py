"""Every example in a docstring runs and is true."""

import doctest
import importlib.util
import inspect
import pkgutil

import pytest
import torch
from torch import nn

import sharpmin

NEEDS = {"sharpmin.monitor.lightning": "lightning", "sharpmin.monitor.huggingface": "transformers"}
ALL = [m.name for m in pkgutil.walk_packages(sharpmin.__path__, "sharpmin.") if not m.name.endswith("__main__")]
MODULES = [name for name in ALL if importlib.util.find_spec(NEEDS.get(name, "sharpmin"))]
PUBLIC = {name: getattr(sharpmin, name) for name in sharpmin.__all__}


def examples(name):
    module = importlib.import_module(name)
    names = {"torch": torch, "nn": nn, **PUBLIC, **vars(module)}
    return [test for test in doctest.DocTestFinder().find(module, extraglobs=names) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name):
    said = []
    for test in examples(name):
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)


def test_there_are_examples():
    assert sum(len(examples(name)) for name in MODULES) >= 10


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_a_docstring_and_a_public_function_an_example(name):
    assert inspect.getdoc(PUBLIC[name])
    if inspect.isfunction(PUBLIC[name]) or name == "Objective":
        assert ">>>" in PUBLIC[name].__doc__
