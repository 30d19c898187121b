# Every target sets up what it needs; a bare machine needs python3.11 or newer, g++, make, perl and git.

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test lint bench docs bitstream bitstreams area area-check model regress faults clean

help:  ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY)  ## Create .venv with every tool and library pinned, and the command .venv/bin/lpu.

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than 3.11; name a newer one: make setup PYTHON=python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[sim,fpga,dev]' -c requirements.lock
	@touch $(READY)

demo: $(READY)  ## Tell a story with the project's own language model on the RTL.
	$(BIN)/lpu demo

test: lint  ## Lint, types and all tests but the slow ones.
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(READY)  ## Check style, format and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## Print the figures of the README.
	$(BIN)/lpu bench matmul --config ecp5-25f --target rtl --m 1 --k 64 --n 64
	$(BIN)/lpu bench matmul --config ecp5-25f --target rtl --m 64 --k 64 --n 64
	$(BIN)/lpu bench matmul --config ecp5-85f --target rtl --m 1 --k 512 --n 512
	$(BIN)/lpu bench matmul --config ecp5-85f --target rtl --m 32 --k 64 --n 64
	$(BIN)/lpu bench sim --config ecp5-85f

docs: $(READY)  ## Write docs/isa.md anew.
	$(BIN)/python -m lpu.docs

BOARD ?= ulx3s-25f
bitstream: $(READY)  ## Build the bitstream of BOARD (ulx3s-25f).
	$(BIN)/lpu build $(BOARD)

bitstreams: $(READY)  ## Build and record every board's bitstream and write the table of the README; hours.
	for board in $$($(BIN)/python -c 'from fpga.boards import BOARDS; print(*BOARDS)'); do $(BIN)/lpu build $$board --record && $(BIN)/python -m fpga.report || exit 1; done

area-check: $(READY)  ## Fail, naming the unit, where area or Fmax is worse than recorded by more than 5 %.
	$(BIN)/python -m fpga.area --check
	$(BIN)/python -m fpga.report --check

area: $(READY)  ## Synthesise every slice and the tile for ECP5 and write docs/area.md.
	$(BIN)/python -m fpga.area

model: $(READY)  ## Train models/stories192k anew on a CUDA device and draw its loss curve; installs the train extra.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train]' -c requirements.lock
	$(BIN)/python -m models.train --device cuda --seed 0 --stop 13000 --out models/stories192k
	$(BIN)/python -m models.curve

regress: $(READY)  ## Run everything, the slow tests and the long random programs included.
	$(BIN)/python -m pytest -n $(JOBS) -m "slow or not slow"
	$(BIN)/python -m tb.regress --config tiny --legal 0:2000 --illegal 0:500 --jobs $(JOBS)
	$(BIN)/python -m tb.regress --config ecp5-25f --legal 0:300 --illegal 0:100 --jobs $(JOBS)
	$(BIN)/python -m tb.regress --config invented --legal 0:300 --illegal 0:100 --jobs $(JOBS)

faults: $(READY)  ## Break the RTL in each of the known ways and see a test catch it.
	$(BIN)/python -m tb.faults

clean:  ## Remove builds and caches; .venv stays.
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
