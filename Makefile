# Every target but bench, proof, lint and requirements is one call of `python -m brainseg`. On Windows make the environment and call it
# by hand (README).
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m brainseg
# Versions that requirements.txt has stay, unless pyproject.toml or UPGRADE says otherwise.
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make requirements" $(VENV)/bin/uv pip compile --quiet --python-version 3.11
# All but bench: PyTorch is large, and on Linux it brings libraries for GPUs, which only a measurement asks for.
EXTRAS := $(foreach extra,networks book onnx cluster volumes dev,--extra $(extra))
OPTIONS := $(if $(PROFILE),--profile $(PROFILE)) $(if $(DATA),--data "$(DATA)") $(foreach pair,$(PARAMETERS),-p $(pair))

.DEFAULT_GOAL := help
.PHONY: help book site pdf test data notebook reproduce student pair bench proof lint requirements clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

book: $(VENV)/.installed ## execute what changed and build the book; DATA=kaggle or DATA=FOLDER, PROFILE=smoke, PARAMETERS="epochs=3"
	@$(RUN) book $(OPTIONS)

site: $(VENV)/.installed ## the edition that is published: real data, kept networks, nothing trained; DATA=FOLDER, else Kaggle's
	@$(RUN) book --profile reference --data "$(or $(DATA),kaggle)"

pdf: $(VENV)/.installed ## print the built book into one PDF, by a Chromium on this machine, and link it from the book
	@$(RUN) pdf

test: $(VENV)/.installed ## run the tests; FAST=1 those of the inner loop, TESTS="-k crop" any
	@$(RUN) test $(if $(FAST),-m "not slow") $(TESTS)

data: $(VENV)/.installed ## download the real data set from Kaggle and check it
	@$(RUN) data

notebook: $(VENV)/.installed ## execute one notebook: make notebook NB=06_train_unet
	@$(if $(NB),,$(error Say which: make notebook NB=06_train_unet))$(RUN) notebook $(NB) $(OPTIONS)

reproduce: $(VENV)/.installed ## score the kept networks again and compare; DATA=FOLDER, else Kaggle's
	@$(RUN) reproduce $(if $(DATA),--data "$(DATA)")

student: $(VENV)/.installed ## write the notebooks without their solutions, and a zip of them
	@$(RUN) student

pair: $(VENV)/.installed ## write the .ipynb files from their .py sources
	@$(RUN) pair

bench: $(VENV)/.installed ## measure speed on a quiet machine, half an hour; DATA=FOLDER, PARTS="growth files"; installs PyTorch (GBs)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.txt
	@$(VENV)/bin/python -m benchmarks $(if $(DATA),--data "$(DATA)") $(if $(PARTS),--parts $(PARTS))

proof: $(VENV)/.installed ## try to prove the study wrong, some hours; PARTS="field fuzz"; installs PyTorch and MONAI (GBs)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.txt
	@$(VENV)/bin/python -m proof $(PARTS)

lint: $(VENV)/.installed ## what a commit must pass: format, rules, pairs, types, layers; HOOK=mypy runs one
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" pre-commit run --all-files $(HOOK)

requirements: $(VENV)/.installed ## write the pinned versions again from pyproject.toml; UPGRADE=keras moves one
	@$(COMPILE) pyproject.toml $(EXTRAS) --universal --generate-hashes --output-file requirements.txt \
		$(if $(UPGRADE),--upgrade-package $(UPGRADE))
	@$(COMPILE) pyproject.toml --extra bench --constraint requirements.txt --universal --generate-hashes \
		--output-file benchmarks/requirements.txt $(if $(UPGRADE),--upgrade-package $(UPGRADE))
	@$(COMPILE) binder/requirements.in --constraint requirements.txt --python-platform linux --no-annotate \
		--upgrade --output-file binder/requirements.txt

clean: ## remove executed notebooks and the book; ALL=1 also cohorts and weights
	@$(PYTHON) -m brainseg clean $(if $(ALL),--all)

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV); this takes some minutes the first time."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@$(VENV)/bin/python -c "from brainseg.publishing.runtime import onnx_runtime; onnx_runtime()" || echo "make book will ask for it again."
	@touch $@
