# make plot              set everything up and draw the parametric plot of F1 from real data
# make plot NETWORK=C1   the authors' own job; further options in ARGS, e.g. ARGS="--precision bfloat16 --published"
# make test              set everything up and run the tests
# make check             lint and types

PYTHON ?= python3
NETWORK ?= F1
VENV ?= .venv
READY := $(VENV)/.ready

.PHONY: plot test check clean

plot: $(READY)
	$(VENV)/bin/sharpmin plot -n $(NETWORK) $(ARGS)

test: $(READY)
	$(VENV)/bin/python -m pytest $(ARGS)

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache
