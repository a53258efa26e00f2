# The gate: `make check`. Each step can be made by itself.

CODE = layers/insights/choreo_insights functions choreo_insights_cli dev
TEMPLATES = template.yaml $(wildcard generated/*.yaml)
# Findings that are left in template.yaml have their reasons there, in each resource's Metadata.
# W2001: a generated template declares its parameters whether a table uses them or not.
CFN_LINT = --append-rules cfn_lint_serverless.rules
GENERATED = --ignore-checks W2001
# KeywordDetector reports every name with `token` or `secret` in it; ruff's S105 to S107
# look for those that have a value. Sixteen random hex digits have an entropy over 3.2. The
# alphabet is not a secret. Locks hold hashes.
LEAKS = --no-verify --disable-plugin KeywordDetector --hex-limit 3.2 \
  --exclude-secrets '^abcdefghij' --exclude-files 'requirements.*\.txt$$'

DEV_BIN = $(VENVS)/dev/bin
POLICY_BIN = $(VENVS)/policy/bin
SECRETS_BIN = $(VENVS)/secrets/bin

# Two at a time, each with its output in one piece where this make can do that.
.PHONY: check all-checks
check: ## lint, types, templates, policies, dependencies
	@$(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),-O) all-checks
	@echo "all checks passed"
all-checks: leaks templates types environments lint fresh policies safety audit

.PHONY: environments
environments: $(ENVIRONMENTS:%=$(VENVS)/%/.done) ## no two distributions in one environment install the same file
	@$(DEV_BIN)/python -m dev.checks.environments $(VENVS)

.PHONY: fresh
fresh: $(VENVS)/dev/.done ## fails where a generated file is stale
	@$(INSIGHTS) tables --check

.PHONY: lint
lint: $(VENVS)/dev/.done ## ruff: rules and format
	@$(DEV_BIN)/ruff check
	@$(DEV_BIN)/ruff format --check

.PHONY: types
types: $(VENVS)/dev/.done ## mypy, strict
	@$(DEV_BIN)/mypy --strict $(CODE)

.PHONY: templates
templates: $(VENVS)/policy/.done $(VENVS)/sam/.done ## cfn-lint, checkov, sam validate
	@$(POLICY_BIN)/cfn-lint $(CFN_LINT) -- template.yaml
	@$(POLICY_BIN)/cfn-lint $(CFN_LINT) $(GENERATED) -- $(filter-out template.yaml,$(TEMPLATES))
	@$(POLICY_BIN)/checkov --framework cloudformation --quiet --compact --skip-download \
	  --file $(TEMPLATES)
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 $(VENVS)/sam/bin/sam validate --lint

.PHONY: policies
policies: $(VENVS)/policy/.done ## parliament on the rendered policies
	@$(POLICY_BIN)/python -m dev.checks.policies

.PHONY: safety
safety: $(VENVS)/policy/.done ## bandit
	@$(POLICY_BIN)/bandit --quiet --configfile .bandit.yaml --recursive $(CODE)

# What the layer ships must have no known vulnerability; those of the tools are reported, as other
# tools pin them. pip-audit succeeds where its service answers nothing, so its report is read.
PIP_AUDIT = $(POLICY_BIN)/pip-audit --progress-spinner off --disable-pip --require-hashes
.PHONY: audit
audit: $(VENVS)/policy/.done ## pip-audit on the locks (AUDIT=required fails where nothing answers)
	@for lock in dev/requirements/*.txt; do \
	  $(PIP_AUDIT) --requirement $$lock 2>/dev/null | sed '/Skip Reason/,$$d'; done
	@report=$$($(PIP_AUDIT) --requirement layers/insights/requirements.txt 2>&1) && done=yes || done=no; \
	echo "layer:"; echo "$$report"; case "$$done $$report" in \
	  *Found\ *\ known\ vulnerabilit*) exit 1 ;; \
	  no* | *could\ not\ be\ audited*) \
	    echo "NOT AUDITED: the vulnerability service does not know all packages of the layer." >&2; \
	    [ "$$AUDIT" != required ] ;; \
	esac

.PHONY: leaks
leaks: $(VENVS)/secrets/.done ## detect-secrets on the project's files
	@git ls-files -z --cached --others --exclude-standard | \
	  xargs -0 $(SECRETS_BIN)/detect-secrets-hook $(LEAKS)
