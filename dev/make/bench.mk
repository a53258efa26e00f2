# Speed, memory and requests, apart from the tests: `make bench`.

BENCH_DONE = $(VENVS)/bench/.done $(VENVS)/localaws/.done
ROUNDS ?= 5

.PHONY: bench
bench: $(BENCH_DONE) ## measures speed beside dlt and awswrangler; writes docs/generated/benchmarks.md (ROUNDS=5)
	@PYTHONPATH=.:layers/insights $(VENVS)/bench/bin/python -m dev.bench --rounds $(ROUNDS)
