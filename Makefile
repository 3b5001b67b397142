PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Pictures are drawn without a screen; networks this small are fastest on one thread.
export SDL_VIDEODRIVER ?= dummy
export MUJOCO_GL ?= egl
export OMP_NUM_THREADS ?= 1
# Each of the many processes that tests start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test check slow fuzz audit wheel lock bench notebooks docs docs-serve format clean

install: $(INSTALLED)

# Files are held against their hashes first; then what has none is added: this package, torch, and what lock.py names.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt constraints-hashed.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("$(PYTHON) is Python %d.%d; rlhf_gym needs 3.10 or newer: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement constraints-hashed.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,notebooks,web,exchange,postgresql,judge,minari,learners,ray,docs]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/python -m experiments.demo

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses auto --dist worksteal

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto --dist worksteal

slow: $(INSTALLED)
	$(BIN)/pytest -m slow

# Seconds for each of nine kinds of file.
fuzz: export RLHF_GYM_FUZZ_SECONDS ?= 140
fuzz: $(INSTALLED)
	$(BIN)/pytest -m slow tests/test_hostile_files.py

# Known vulnerabilities (which needs the index's own record of them), then licences, of what is installed.
audit: $(INSTALLED)
	$(PYTHON) -m venv --clear build/audit
	build/audit/bin/pip install --quiet pip-audit
	$(BIN)/python .ci/licences.py
	$(BIN)/pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' | grep == >build/audit/installed.txt
	build/audit/bin/pip-audit --no-deps --disable-pip --requirement build/audit/installed.txt

# The wheel on every Python found, with pinned, lowest allowed and newest dependencies: TRY='--python 3.12 --day'.
wheel: build/packaging/bin/uv
	PATH="$(CURDIR)/build/packaging/bin:$$PATH" python -m tests.packaging.wheel $(TRY)

# constraints-hashed.txt, after a change of constraints.txt or setup.cfg.
lock: build/packaging/bin/uv
	PATH="$(CURDIR)/build/packaging/bin:$$PATH" python -m tests.packaging.lock

build/packaging/bin/uv:
	$(PYTHON) -m venv --clear build/packaging
	build/packaging/bin/pip install --quiet build uv

bench: $(INSTALLED)
	$(BIN)/python -m experiments.measurements.bench

notebooks: $(INSTALLED)
	$(BIN)/jupyter execute --inplace notebooks/*.ipynb

# The theme's announcement of MkDocs 2, in the middle of what the build says, is left out.
docs docs-serve: export NO_MKDOCS_2_WARNING = 1

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict

docs-serve: $(INSTALLED)
	$(BIN)/mkdocs serve

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
