# Every command sets up what it needs, once. PYTHON chooses the interpreter of a new environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup reference check test test-long demo serve bench bench-index bench-lists bench-load proto example format clean
help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv with everything pinned in constraints.txt
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "NearHash needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[server,images,video,hma,tracing]'
	@touch $@

# What the Node client is built and checked with.
NODE := clients/node/node_modules/.package-lock.json
$(NODE): clients/node/package-lock.json
	@command -v npm >/dev/null || { echo "The Node client needs Node 20 or newer, with npm; there is none here."; exit 1; }
	cd clients/node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

example: $(READY) ## rewrite the commented example of a configuration
	$(BIN)/nearhash config --example >service/nearhash.example.toml

proto: $(READY) $(NODE) ## regenerate the gRPC stubs
	sh proto/generate.sh proto
	cd clients/node && sh generate.sh src/gen

check: $(READY) $(NODE) ## format, lint, types, import directions, protos, fresh stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint
	sh proto/check_fresh.sh
	$(BIN)/python docs/generate.py --check
	cd clients/node && npm run --silent check

reference: $(READY) ## write docs/rpcs.md and docs/commands.md again
	$(BIN)/python docs/generate.py

format: $(READY) ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(READY) ## the tests: five minutes on two fast cores, up to ten on slow ones
	$(BIN)/pytest -m 'not long and not alone' --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/pytest -m 'not long and alone'

.PHONY: test-node
test-node: $(READY) $(NODE) ## the tests of the Node client, against real servers
	cd clients/node && npm test --silent
	$(BIN)/pytest tests/e2e/test_same_answers.py

test-long: $(READY) ## the long versions too
	$(BIN)/pytest

demo: $(READY) ## altered copies of photographs found by a running server, from nothing
	$(BIN)/python -m tests.demo

serve: $(READY) data/CURRENT ## a server on 127.0.0.1:50051 with a few photographs' hashes in the folder data
	$(BIN)/nearhash serve --data data

data/CURRENT: | $(READY)
	$(BIN)/python -m tests.demo.sample_list >$(VENV)/photographs.csv
	$(BIN)/nearhash bank create photographs --data data
	$(BIN)/nearhash import photographs $(VENV)/photographs.csv --data data
	$(BIN)/nearhash publish --data data

# What the benchmarks compare with is installed for them alone.
PEERS := $(VENV)/.peers
$(PEERS): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group peers
	@touch $@

bench: $(PEERS) ## the brute-force kernel beside FAISS
	$(BIN)/pytest bench --override-ini addopts= --import-mode=importlib --benchmark-only --benchmark-columns=median,iqr,rounds --benchmark-group-by=param:words,param:batch

bench-index: $(PEERS) ## the index beside its peers, and how it grows: about half an hour
	$(BIN)/python -m bench.index_peers
	$(BIN)/python -m bench.index_worst
	$(BIN)/python -m bench.index_scaling
	$(BIN)/python -m bench.index_report

bench-lists: $(PEERS) ## what an operator waits for at 1e7 entries: about ten minutes, 5 GB of disk
	$(BIN)/python -m bench.list_operations

bench-load: $(PEERS) ## a server under load beside an echo and an HTTP peer: about 45 minutes, 12 GB of disk; h2load helps
	$(BIN)/python -m bench.load

.PHONY: bench-robustness
bench-robustness: $(PEERS) ## what alterations the hashes withstand, and false matches: about half an hour
	$(BIN)/python -m bench.robustness
	$(BIN)/python -m bench.robustness_report

clean: ## remove everything that make made
	rm -rf $(VENV) .venv-proto data dist clients/node/node_modules clients/node/dist
