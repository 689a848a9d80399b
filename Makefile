# weir: what one types. Every target does its own set-up; README says what a machine needs.

CARGO ?= cargo
# Throw-away servers are downloaded into a cache folder at the first use (see README).

.PHONY: help build demo test fuzz acceptance soak bench lint clean

help:
	@sed -n 's/^## //p' Makefile

## build        the release binary, target/release/weir
build:
	$(CARGO) build --release --locked

## demo         two throw-away databases: a copy, a live workload, both sides compared (DEMO_SECONDS=30 ends by itself)
demo:
	$(CARGO) build --release --locked
	target/release/weir demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

## test         lints, unit, property, fuzz and end-to-end tests on real servers
test: lint
	$(CARGO) test --locked --lib --bins
	$(CARGO) test --locked --test fuzz
	$(CARGO) test --locked --test it -- --test-threads=3

## fuzz         each decoder for FUZZ_SECONDS (600); FUZZ_TARGET=name for one, FUZZ_SEED=number as before
fuzz:
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} $(CARGO) test --locked --test fuzz

## acceptance   a million changes in each direction, copies of 5,000,000 rows under load, crashes, memory bounds,
##              further pairs of servers, 100,000 rows of random values of every type (an hour)
acceptance:
	$(CARGO) build --release --locked
	$(CARGO) test --release --locked --test acceptance -- acceptance
	$(CARGO) test --release --locked --test it -- --ignored --skip random_values --test-threads=3
	RANDOM_VALUES=$${RANDOM_VALUES:-100000} $(CARGO) test --release --locked --test it -- random_values --include-ignored --test-threads=1

## soak         kill -9 and restarts for SOAK_MINUTES (60), then a minute of fuzzing for each decoder, by hand
soak:
	$(CARGO) build --release --locked
	$(CARGO) test --release --locked --test acceptance -- soak
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(CARGO) test --locked --test fuzz

## bench        drain rates as ratios to ceilings, copies to the servers' own tools (BENCH_PART=copy, BENCH_PART=drain)
bench:
	$(CARGO) build --release --locked
	$(CARGO) test --release --locked --test acceptance -- bench

## lint         formatting and clippy, warnings are errors
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

clean:
	$(CARGO) clean
