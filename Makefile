# Every target sets up what it needs in .venv; a second call finds it there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where the public measurement data lie; see docs/explanation/quality.md.
DATA ?= ../shared/data
TEACHER ?= all-mpnet-base-v2

.DEFAULT_GOAL := help
.PHONY: bench-experiments bench-retraining bench-explanations bench-active bench-tuning bench-drift help demo test check format notebooks data-report starter bench bench-seed bench-int8 bench-judgement bench-audit bench-leaks bench-generated bench-encoders bench-teachers bench-neighbours bench-peers bench-messages prove docs clean

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

demo: $(VENV)/base  ## Label the example tickets with the model that ships with tagdesk
	$(BIN)/tagdesk classify examples/tickets.csv

test: $(VENV)/dev  ## Run the tests
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

check: $(VENV)/dev  ## Lint, format, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/cli_reference.py --check

format: $(VENV)/dev  ## Put the code into its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/dev  ## Run the notebooks and keep their output in build/notebooks
	$(BIN)/python scripts/run_notebooks.py

data-report: $(VENV)/dev  ## Count and draw what data/tickets holds
	$(BIN)/python scripts/data_report.py

starter: $(VENV)/dev  ## Build the shipped model anew from data/tickets
	$(BIN)/python scripts/gte_small.py
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/starter.py

bench: bench-seed bench-int8 bench-judgement bench-audit bench-leaks bench-generated bench-neighbours bench-messages  ## All measurements; DATA=folder names the public data

bench-seed: $(VENV)/dev  ## Train each recipe on the public reference tickets
	$(BIN)/python benchmarks/seed.py --data $(DATA)

bench-int8: $(VENV)/dev  ## Compare ways to shrink a graph
	$(BIN)/python benchmarks/int8.py --data $(DATA)

bench-judgement: $(VENV)/dev  ## Compare ways to calibrate and to find thresholds
	$(BIN)/python benchmarks/calibration.py --data $(DATA)
	$(BIN)/python benchmarks/thresholds.py --data $(DATA)

bench-audit: $(VENV)/dev  ## Plant wrong labels and count how many an audit finds
	$(BIN)/python benchmarks/audit.py --data $(DATA)

bench-leaks: $(VENV)/dev  ## Look for tickets to learn from in the sets to measure on
	$(BIN)/python benchmarks/leaks.py --data $(DATA)

bench-generated: $(VENV)/dev  ## Ask whether composed tickets help to judge trades never seen
	mkdir -p build
	$(BIN)/tagdesk generate build/generated.jsonl -n 4000 --seed 1 --force
	$(BIN)/python benchmarks/generated.py --generated build/generated.jsonl

bench-encoders: $(VENV)/dev  ## Compare encoders on trades held out whole; hours
	$(BIN)/python scripts/gte_small.py
	PYTHONPATH=scripts $(BIN)/python benchmarks/encoders.py

bench-teachers: $(VENV)/dev  ## Compare labels, smoothed labels and a larger TEACHER's answers; an hour
	$(BIN)/python scripts/gte_small.py
	PYTHONPATH=scripts $(BIN)/python benchmarks/teachers.py --teacher $(TEACHER)

bench-experiments: $(VENV)/dev  ## Simulate comparisons and experiments: false alarms, power, splits, coverage
	$(BIN)/python benchmarks/experiments.py

bench-retraining: $(VENV)/dev  ## Attack the loop: corrections that are wrong on purpose
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/retraining.py

bench-explanations: $(VENV)/dev  ## Leave out the words that explanations name
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/explanations.py

bench-active: $(VENV)/dev  ## Learning curves of what people look at next, against chance
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/active.py --data $(DATA)

bench-tuning: $(VENV)/dev  ## Let the search try to beat the usual recipe
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/tuning.py --data $(DATA)

bench-drift: $(VENV)/dev  ## False alarms and power of the drift tests
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/drift.py --data $(DATA)

bench-neighbours: $(VENV)/dev  ## Ask whether scores depend on the tickets beside
	$(BIN)/python benchmarks/neighbours.py

bench-peers: $(VENV)/dev  ## Compare with other classifiers, each in an environment of its own; hours
	$(BIN)/python scripts/gte_small.py
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/peers.py --data $(DATA)

bench-messages: $(VENV)/dev  ## Score the shipped model on public messages it has never seen
	$(BIN)/python benchmarks/messages.py --data $(DATA)

prove: $(VENV)/dev  ## Hurt a real service in every way and count what went wrong; hours, and root for a small disk
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/prove.py

docs: $(VENV)/dev  ## Write the command reference anew
	$(BIN)/python scripts/cli_reference.py

clean:  ## Remove what the targets above made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist

$(VENV)/python:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/base: $(VENV)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

# torch first and alone, as constraints.txt pins it, so that nothing asks for another build of it.
$(VENV)/dev: $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
