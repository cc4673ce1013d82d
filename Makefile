# make demo   the whole chain on the simulated archive, then where to look
# make test   the test suite        make lint   formatting and style
# make study  what validations claim and what is true, over five simulated worlds
# make bench  one year of the published study at full size (an hour, 30 GB of disk)
# make test-faults   killing, filling, breaking      make test-cluster   through a real Slurm
# make test-regions  places where the authors never were
# make format mend the style        make lock   requirements*.txt and envs/ anew
# make reference   config/README.md from the schema
PYTHON ?= python3
BIN := .venv/bin
# The stamp carries the lock's checksum and is written last: an environment that is half
# installed, or of another lock, is made again.
SUM := $(shell cksum requirements.txt | cut -d ' ' -f 1)
STAMP := .venv/.complete-$(SUM)
CHECKS := .venv/.checks-$(shell cksum requirements-check.txt | cut -d ' ' -f 1)
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: demo test test-faults test-regions test-cluster lint format lock reference study bench

demo: $(STAMP)
	$(RUN) snakemake --cores all
	@cat results/report/headline.txt

test: $(CHECKS)
	$(RUN) pytest -n 2 --dist loadfile --no-loadscope-reorder

# Minutes each, so not part of `make test`.
test-faults: $(STAMP)
	$(RUN) pytest -m faults tests/test_faults.py

test-regions: $(STAMP)
	$(RUN) pytest -m regions

test-cluster: $(STAMP)
	$(PIP) -r requirements-cluster.txt
	$(RUN) pytest -m cluster tests/test_cluster.py --durations=8

lint: $(STAMP)
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check .
	$(RUN) snakemake --lint

study: $(STAMP)
	$(RUN) python benchmarks/study.py

bench: $(STAMP)
	$(RUN) python benchmarks/full_size.py

format: $(STAMP)
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	$(RUN) snakefmt .

lock:
	for name in requirements requirements-check requirements-cluster; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
	    $$(test -e $$name.without.in && echo --override $$name.without.in) \
	    -o $$name.txt $$name.in || exit 1; \
	done
	python3 envs/from_lock.py
	$(MAKE) reference

# In the environment of the new lock.
reference: $(STAMP)
	$(BIN)/python workflow/schemas/describe.py

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) comes without venv. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	rm -rf .venv
	$(PYTHON) -m venv .venv
	@if command -v uv >/dev/null; then \
	  VIRTUAL_ENV=.venv uv pip install --compile-bytecode --require-hashes --no-deps -r requirements.txt; \
	else \
	  $(PIP) -r requirements.txt; \
	fi
	@touch $(STAMP)

$(CHECKS): $(STAMP)
	$(PIP) -r requirements-check.txt
	@touch $(CHECKS)
