# `make` alone says what there is to do.
.DEFAULT_GOAL := help
SHELL := /bin/sh

-include venvs.mk
-include check.mk
-include bench.mk
-include trino.mk

VENVS ?= .venvs
DEV = $(VENVS)/dev/.done
LOCAL = $(DEV) $(VENVS)/sam/.done $(VENVS)/localaws/.done $(VENVS)/uv/.done
RUN = PYTHONPATH=.:layers/insights $(VENVS)/dev/bin/python
# The tests of the whole run one at a time: they share one local deployment.
PYTEST = $(VENVS)/dev/bin/python -m pytest
WORKERS ?= auto
# More workers than processors: faults are mostly waited for.
STATIONS ?= 4
FAULTS = $(PYTEST) -q -n $(STATIONS) tests/faults

.PHONY: help
help: ## what there is to do
	@grep -hE '^[a-z-]+:.*##' Makefile $(wildcard *.mk) | sort -u | \
	  awk -F ':.*## ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

.PHONY: demo
demo: $(LOCAL) ## shows it all on this machine; KEEP=1 leaves it running
	@$(RUN) -m local demo

.PHONY: test
test: $(LOCAL) $(VENVS)/runtime/.done ## all tests
	@$(PYTEST) -q -n $(WORKERS) tests/unit tests/layer
	@$(PYTEST) -q tests/integration
	@$(FAULTS)

.PHONY: soak
soak: $(LOCAL) ## every fault there is, and faults at random for MINUTES (SEED= draws the same ones)
	@SOAK=1 $(PYTEST) -q tests/unit/export/test_sizes.py
	@SOAK=1 MINUTES=$${MINUTES:-10} $(FAULTS)

.PHONY: reliability
reliability: $(LOCAL) ## tries every fault, and writes docs/reliability.md
	@SOAK=1 RELIABILITY=docs/reliability.md $(FAULTS)

.PHONY: test-unit
test-unit: $(DEV) ## the tests that need neither the local AWS nor a built layer
	@$(PYTEST) -q -n $(WORKERS) tests/unit

.PHONY: local
local: $(LOCAL) tables ## deploys to a local AWS and leaves it running (PARAMETERS= IAM= TOKEN_URL= ...)
	@$(RUN) -m local up

.PHONY: local-down
local-down: $(DEV) ## stops what `make local` left running
	@$(RUN) -m local down

.PHONY: deploy
deploy: $(DEV) $(VENVS)/sam/.done $(VENVS)/uv/.done tables ## builds and deploys to AWS (PARAMETERS="Name=value ...")
	@$(RUN) -m local deploy

.PHONY: secret
secret: $(DEV) ## stores an organisation's credentials (ORG=handle)
	@$(RUN) -m local secret

.PHONY: token
token: $(DEV) ## calls the token function (ACTION=ensure|renew|revoke|status ORG=)
	@$(RUN) -m local token

.PHONY: export
export: $(DEV) ## calls the export function (EVENT='{"tables": ["apis"]}')
	@$(RUN) -m local export

.PHONY: backfill
backfill: $(DEV) ## exports a history part by part (FROM= TO= TABLES= ORG= SPAN=days | ATTACH= | STOP= | RESUME=)
	@$(RUN) -m local backfill

.PHONY: status
status: $(DEV) ## how each table stands: days, missing, failed, rows, errors (ALL=1 JSON=1)
	@$(RUN) -m local status

.PHONY: dashboard
dashboard: $(DEV) ## draws the dataset's dashboard as one HTML file (OUT= DAYS=366)
	@$(RUN) -m local dashboard

.PHONY: picture
picture: $(DEV) ## draws docs/dashboard.png from synthetic data; needs Chromium (CHROMIUM=path)
	@$(RUN) -m dashboard.picture

.PHONY: doctor
doctor: $(DEV) ## asks the real endpoints: what works, what differs (ORG= SECRET_FILE= TOKEN_URL= JSON=1 ...)
	@$(RUN) -m local doctor

.PHONY: tables
tables: $(DEV) ## compiles the catalogue's documents
	@$(RUN) -m catalogue

.PHONY: clean
clean: ## stops what runs locally, and removes all that was installed and built
	@if [ -x $(VENVS)/dev/bin/python ]; then $(RUN) -m local down; fi
	@rm -rf $(VENVS) .local .aws-sam .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
