# Virtual environments, one for each lock in dev/requirements/, kept apart because the tools pin
# libraries against each other.

PYTHON ?= python3
VENVS ?= .venvs
UV ?= $(VENVS)/uv/bin/uv
# uv uses the installed Python and never downloads one.
export UV_PYTHON_DOWNLOADS = never

LOCKS := layers/insights/requirements bench dev localaws mutants policy runtime sam secrets uv
# The environments of `make check` and `make test`.
ENVIRONMENTS := $(filter-out layers/% bench mutants,$(LOCKS))

.SECONDARY: $(VENVS)/uv/.done

# An environment is up to date when its `.done` is a copy of its lock. Modification times would
# reinstall one that another checkout uses at this moment. FORCE: the recipe always compares.
is_up_to_date = [ "$$(cat $<)" = "$$(cat $@ 2>/dev/null)" ]
.PHONY: FORCE
FORCE:

$(VENVS)/uv/.done: dev/requirements/uv.txt FORCE
	@$(is_up_to_date) && exit 0; set -e; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: name a newer one, as in PYTHON=python3.12" >&2; exit 1; }; \
	rm -rf $(@D); mkdir -p $(@D); \
	$(PYTHON) -m venv $(@D) || \
	  { echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: python3-venv)" >&2; exit 1; }; \
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --only-binary=:all: -r $<; \
	cp $< $@

$(VENVS)/%/.done: dev/requirements/%.txt $(VENVS)/uv/.done FORCE
	@$(is_up_to_date) && exit 0; set -e; \
	echo "installing $(@D)"; \
	rm -f $@; \
	$(UV) venv --quiet --clear --python $(PYTHON) $(@D); \
	VIRTUAL_ENV=$(@D) $(UV) pip sync --quiet --require-hashes $<; \
	cp $< $@

# What browser tests load into a page comes from npm, where there is one: such as a browser, it is
# not needed for anything else. Without npm or its registry these tests are skipped, and say so.
$(VENVS)/npm/.done: dev/npm/package-lock.json FORCE
	@$(is_up_to_date) && exit 0; \
	command -v npm >/dev/null || { echo "no npm: the dashboard is not tested with axe"; exit 0; }; \
	echo "installing $(@D)"; rm -rf $(@D); mkdir -p $(@D); cp dev/npm/package*.json $(@D); \
	npm ci --prefix $(@D) --silent --ignore-scripts --no-audit --no-fund && cp $< $@

# Every lock is for all platforms, with hashes, and names no package index.
.PHONY: lock
lock: $(VENVS)/uv/.done ## rewrites the locks in dev/requirements/ from their .in files
	@for lock in $(LOCKS); do \
	  case $$lock in */*) file=$$lock ;; *) file=dev/requirements/$$lock ;; esac; \
	  case $$lock in dev) more=../../pyproject.toml ;; *) more= ;; esac; \
	  echo "locking $$file.txt"; \
	  (cd $$(dirname $$file) && name=$$(basename $$file) && \
	   $(abspath $(UV)) pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	     --no-header --python-version 3.11 $(LOCK_OPTIONS) $$name.in $$more -o $$name.txt) || exit 1; \
	done
