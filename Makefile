# `make` without a target lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
# Hundreds of programs are started here: what one has compiled, the next need not compile again.
unexport PYTHONDONTWRITEBYTECODE

VENVS ?= .venvs
DEV = $(VENVS)/dev/.done
LOCAL = $(DEV) $(VENVS)/sam/.done $(VENVS)/localaws/.done $(VENVS)/uv/.done
RUN = PYTHONPATH=.:layers/insights $(VENVS)/dev/bin/python
# The operator's commands; the targets below give them what is said as NAME=value.
INSIGHTS = INSIGHTS_CALLED_BY=make $(RUN) -m choreo_insights_cli
KEPT = $${LOCAL_DIR:-.local}
given = $${$(1):+--$(2) "$$$(1)"}
flag = $(if $(filter-out 0,$($(1))),--$(2))
PYTEST = $(VENVS)/dev/bin/python -X warn_default_encoding -m pytest
WORKERS ?= auto
# Tests of the whole: three groups that share a deployment each, and some with one of their own.
INTEGRATION = $(PYTEST) -q -n 3 tests/integration
OTHERS = $(PYTEST) -q -n $(WORKERS) tests/unit tests/layer tests/stateful
# More workers than processors: faults are mostly waited for.
STATIONS ?= 8
FAULTS = $(PYTEST) -q -n $(STATIONS) tests/faults

# The others use its variables.
include dev/make/venvs.mk $(filter-out %/venvs.mk,$(wildcard dev/make/*.mk))

.PHONY: help
help: ## lists the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort -u | \
	  awk -F ':.*## ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

.PHONY: demo
demo: $(LOCAL) ## shows it all on this machine; KEEP=1 leaves it running
	@$(RUN) -m dev.local demo

.PHONY: test
test: $(LOCAL) $(VENVS)/runtime/.done $(VENVS)/npm/.done ## all tests; of faults the part of the day
	@$(MAKE) --no-print-directory -j3 STATIONS=4 run-integration run-faults run-others

.PHONY: test-integration test-others test-faults
test-integration: $(LOCAL)
	@$(INTEGRATION)
test-others: $(LOCAL) $(VENVS)/runtime/.done $(VENVS)/npm/.done
	@$(OTHERS)
test-faults: STATIONS = 4
test-faults: $(LOCAL)
	@$(FAULTS)

# Beside each other: the two parts with a local AWS mostly wait, and leave the processors to the
# others. So one part that fails does not keep the rest from running. None has prerequisites: make
# may start what had to wait for one only when another part has ended.
.PHONY: run-integration run-others run-faults
run-integration:
	@$(INTEGRATION)
run-others:
	@$(OTHERS)
run-faults:
	@$(FAULTS)

.PHONY: soak
soak: $(LOCAL) ## every fault, faults at random for MINUTES, STEPS of the state machine (SEED= repeats)
	@SOAK=1 $(PYTEST) -q -o faulthandler_timeout=0 tests/stateful tests/unit/choreo_insights/export/test_sizes.py
	@SOAK=1 $(PYTEST) -q -n 2 tests/integration/test_local.py
	@SOAK=1 $(PYTEST) -q tests/integration/test_day.py
	@SOAK=1 MINUTES=$${MINUTES:-10} $(FAULTS) -o faulthandler_timeout=0

.PHONY: reliability
reliability: $(LOCAL) ## tries every fault, and writes docs/generated/reliability.md
	@SOAK=1 RELIABILITY=docs/generated/reliability.md $(FAULTS)

.PHONY: test-unit
test-unit: $(DEV) $(VENVS)/npm/.done ## the tests that need neither the local AWS nor a built layer
	@$(PYTEST) -q -n $(WORKERS) tests/unit

.PHONY: local
local: $(LOCAL) tables ## deploys to a local AWS and leaves it running (PARAMETERS= IAM= TOKEN_URL= ...)
	@INSIGHTS_CALLED_BY=make $(RUN) -m dev.local up

.PHONY: local-down
local-down: $(DEV) ## stops what `make local` left running
	@$(RUN) -m dev.local down

.PHONY: deploy
deploy: $(DEV) $(VENVS)/sam/.done $(VENVS)/uv/.done tables ## builds and deploys to AWS (PARAMETERS="Name=value ...")
	@INSIGHTS_CALLED_BY=make $(RUN) -m dev.local deploy

.PHONY: secret
secret: $(DEV) ## stores an organisation's credentials (ORG=handle JSON=1)
	@$(INSIGHTS) secret "$${ORG:?is missing: make secret ORG=handle}" \
	  $(call given,SECRET_PREFIX,prefix) $(call flag,JSON,json)

.PHONY: token
token: $(DEV) ## calls the token function (ACTION=ensure|renew|revoke|status ORG= YES=1 JSON=1)
	@$(INSIGHTS) token $${ACTION:-status} $${ORG:+--org "$$ORG"} $(call flag,YES,yes) \
	  $(call flag,JSON,json)

.PHONY: export
export: $(DEV) ## calls the export function (TABLES= ORG= FROM= TO= AGAIN=1 FORCE=1 | EVENT='{...}', JSON=1)
	@$(INSIGHTS) export $(call given,TABLES,tables) $(call given,ORG,org) \
	  $(call given,FROM,from) $(call given,TO,to) $(call flag,AGAIN,again) \
	  $(call flag,FORCE,force) $(call given,EVENT,event) $(call flag,JSON,json)

.PHONY: backfill
backfill: $(DEV) ## exports a history part by part (FROM= TO= TABLES= ORG= SPAN=days AGAIN=1 | LIST=1 | ATTACH= | STOP= | RESUME=)
	@$(INSIGHTS) backfill $${FROM:+--from "$$FROM"} $${TO:+--to "$$TO"} \
	  $${TABLES:+--tables "$$TABLES"} $${ORG:+--org "$$ORG"} $${SPAN:+--span "$$SPAN"} \
	  $(call flag,AGAIN,again) $(call flag,LIST,list) $(call flag,JSON,json) \
	  $${ATTACH:+--attach "$${ATTACH#1}"} $${STOP:+--stop "$${STOP#1}"} \
	  $${RESUME:+--resume "$${RESUME#1}"}

.PHONY: migrate
migrate: $(DEV) ## gives older objects today's names of columns, and lists missing ones (TABLES= DRY=1 REBUILD_REGISTRY=1 JSON=1)
	@$(INSIGHTS) migrate $${TABLES:+--tables "$$TABLES"} $(call flag,DRY,dry-run) \
	  $(call flag,REBUILD_REGISTRY,rebuild-registry) $(call flag,JSON,json)

.PHONY: compact
compact: $(DEV) ## writes months that are over to Iceberg tables, for queries over years (BEFORE=month, TABLES= DRY=1 JSON=1)
	@$(INSIGHTS) compact $${BEFORE:+--before "$$BEFORE"} $${TABLES:+--tables "$$TABLES"} \
	  $(call flag,DRY,dry-run) $(call flag,JSON,json)

.PHONY: restore
restore: $(DEV) ## brings objects back as they were, or from a copy (BEFORE=time | FROM_BUCKET= REPLACE=1, TABLES= DRY=1 JSON=1)
	@$(INSIGHTS) restore $${BEFORE:+--before "$$BEFORE"} $${FROM_BUCKET:+--from-bucket "$$FROM_BUCKET"} \
	  $${TABLES:+--tables "$$TABLES"} $(call flag,REPLACE,replace) $(call flag,DRY,dry-run) \
	  $(call flag,JSON,json)

.PHONY: status
status: $(DEV) ## how each table stands: days, missing, failed, rows, errors (ALL=1 TABLES= ORG= ENVIRONMENT= DAY= STATE= JSON=1)
	@$(INSIGHTS) status $(call flag,ALL,all) $(call given,TABLES,tables) $(call given,ORG,org) \
	  $(call given,ENVIRONMENT,environment) $(call given,DAY,day) $(call given,STATE,state) \
	  $(call flag,JSON,json)

.PHONY: query
query: $(DEV) ## queries the dataset (SQL='SELECT ...' | SAVED=name, CSV=1 RAW=1 NO_PAGER=1 JSON=1)
	@$(INSIGHTS) query $(call given,SAVED,saved) $${SQL:+"$$SQL"} $(call flag,CSV,csv) \
	  $(call flag,RAW,raw) $(call flag,NO_PAGER,no-pager) $(call flag,JSON,json)

.PHONY: logs
logs: $(DEV) ## shows the functions' logs (FUNCTION=export|token|report SINCE=1h ERRORS=1 FOLLOW=1 JSON=1)
	@$(INSIGHTS) logs $${FUNCTION:-export} $(call given,SINCE,since) $(call flag,ERRORS,errors) \
	  $(call flag,FOLLOW,follow) $(call flag,JSON,json)

.PHONY: cost
cost: $(DEV) ## estimates the cost of a month (GROWTH=1 JSON=1)
	@$(INSIGHTS) cost $(call flag,GROWTH,growth) $(call flag,JSON,json)

.PHONY: dashboard
dashboard: $(DEV) ## draws the dataset's dashboard as one HTML file (OUT= DAYS=366 FOR=group JSON=1)
	@$(INSIGHTS) dashboard --out "$${OUT:-$(KEPT)/dashboard.html}" --cache "$(KEPT)/dataset" \
	  $(call given,DAYS,days) $(call given,FOR,for) $(call flag,JSON,json)

.PHONY: picture
picture: $(DEV) ## draws the pictures of docs/ from synthetic data; needs Chromium (CHROMIUM=path)
	@$(RUN) -m dev.picture

.PHONY: access
access: $(DEV) ## stores who may see what in QuickSight and in drawn dashboards (FILE=rules.csv CHECK=1 JSON=1)
	@$(INSIGHTS) access "$${FILE:?is missing: make access FILE=rules.csv}" $(call flag,CHECK,check) \
	  $(call flag,JSON,json)

.PHONY: report
report: $(DEV) ## writes a month's report as a page and CSV files (ORG= MONTH=2026-11 OUT= PRICES=file TARGETS=file STORE=1 JSON=1)
	@$(INSIGHTS) report --out "$${OUT:-$(KEPT)}" $(call given,ORG,org) $(call given,MONTH,month) \
	  $(call given,PRICES,prices) $(call given,TARGETS,targets) $(call flag,STORE,store) \
	  $(call flag,JSON,json)

.PHONY: doctor
doctor: $(DEV) ## checks the real endpoints, and compares their schema (ORG= SECRET_FILE= TOKEN_URL= JSON=1 ...)
	@$(INSIGHTS) doctor $${ORG:+--org "$$ORG"} $${SECRET_FILE:+--secret-file "$$SECRET_FILE"} \
	  $${TOKEN_URL:+--token-url "$$TOKEN_URL"} $${INSIGHTS_URL:+--insights-url "$$INSIGHTS_URL"} \
	  $${SCOPE:+--scope "$$SCOPE"} $${TENANT:+--tenant "$$TENANT"} \
	  $${SECRET_PREFIX:+--secret-prefix "$$SECRET_PREFIX"} $(call flag,PROBE,probe) $(call flag,MINT,mint) \
	  $(call given,SAVE,save) $(call given,SCHEMA,schema) $(call given,WAIT,wait) $(call flag,JSON,json)

.PHONY: tables
tables: $(DEV) ## compiles the catalogue's documents (LIST=1 lists tables and views, TABLE=name the columns of one)
	@$(INSIGHTS) tables $(if $(LIST)$(TABLE),$(if $(TABLE),"$$TABLE"),--compile)

.PHONY: released
released: $(DEV) ## keeps the tables as those of the last release; part of making one
	@$(RUN) -m dev.release

.PHONY: clean
clean: ## stops what runs locally, and removes all that was installed and built
	@if [ -x $(VENVS)/dev/bin/python ]; then $(RUN) -m dev.local down; fi
	@rm -rf $(VENVS) .local .aws-sam .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
