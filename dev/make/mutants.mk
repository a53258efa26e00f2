# Whether the tests would notice: faults on purpose, apart from `make test`.

SAMPLED = $(if $(SAMPLE),$(VENVS)/mutants/.done)

.PHONY: mutants
mutants: $(VENVS)/dev/.done $(SAMPLED) ## applies stored faults, which tests must find (SAMPLE=n: drawn ones; SEED=)
	@$(if $(SAMPLE),PYTHONPATH=. $(VENVS)/mutants/bin/python -m tests.mutants.sample \
	  "$(SAMPLE)" "$(SEED)" "$(abspath $(VENVS)/dev/bin/python)",$(RUN) -m tests.mutants)
