PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Pictures are drawn without a screen; networks this small are fastest on one thread.
export SDL_VIDEODRIVER ?= dummy
export MUJOCO_GL ?= egl
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test check slow bench notebooks format clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("$(PYTHON) is Python %d.%d; rlhf_gym needs 3.10 or newer: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,notebooks,web,exchange,postgresql,judge,minari,learners,ray]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/python -m experiments.demo

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses auto

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto

slow: $(INSTALLED)
	$(BIN)/pytest -m slow

bench: $(INSTALLED)
	$(BIN)/python -m experiments.measurements.bench

notebooks: $(INSTALLED)
	$(BIN)/jupyter execute --inplace notebooks/*.ipynb

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
