# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# One thread per library: the processes share the cores, not the threads.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-gpu bench lint types clean
help:
	@echo "make demo      search denoisers on the example data, about five minutes on two cores"
	@echo "make test      lint, types and tests"
	@echo "make test-gpu  the tests that need a CUDA card"
	@echo "make bench     the figures of benchmarks/RESULTS.md"

# Every version comes from constraints.txt, so that today's install is tomorrow's.
$(VENV)/.installed: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "setuptools>=80" wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[search,fly,formats,nion,dev]"
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/beamwright run examples/denoise-replica.yaml
	$(BIN)/beamwright export --output demo/replica-denoiser.zip --overwrite
	$(BIN)/beamwright predict demo/replica-denoiser.zip examples/data/replica/test --output demo/denoised

test: lint types
	$(BIN)/python -m pytest -n 2

test-gpu: $(VENV)/.installed
	$(BIN)/python -m pytest -m gpu

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Static tools cannot read setuptools' package-dir, so an installed copy is checked.
types: $(VENV)/.installed
	rm -rf .types build
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target .types .
	MYPYPATH=.types $(BIN)/mypy -p beamwright

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .types build .pytest_cache .mypy_cache .ruff_cache
