# make plot              set everything up and draw the parametric plot of F1 from real data
# make plot NETWORK=C1   the authors' own job; further options in ARGS, e.g. ARGS="--precision bfloat16 --published"
# make test              set everything up and run the tests, in two processes of a thread each; PROCESSES=0 for one
# make check             lint and types

PYTHON ?= python3
NETWORK ?= F1
VENV ?= .venv
PROCESSES ?= 2
READY := $(VENV)/.ready

.PHONY: plot test check clean

plot: $(READY)
	$(VENV)/bin/sharpmin plot -n $(NETWORK) $(ARGS)

test: $(READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

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
