# What a person or CI asks for. Each target says what it does and leaves the work to cargo or scripts/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test chaos outage check lint fmt clippy deny advisories bench bench-aims bench-growth bench-allocations
.PHONY: bench-pipeline bench-stream bench-ledger trace fuzz

TOLLGATE := ./target/release/tollgate
# Seconds of sample traffic that `make run` sends to the simulator.
SAMPLE ?= 60

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## check the toolchain, fetch the engine, prepare the tests' Python and Node
	@scripts/setup.sh

run: ## build, send a minute of sample traffic to a simulated provider, print its bill, serve on
	@scripts/setup.sh run
	cargo build --release --locked
	$(TOLLGATE) up --config tollgate.toml --sample-traffic $(SAMPLE)

# `--tests` leaves out examples, which the lints compile, but for the program that a suite starts; and tests in comments, of which there are none.
test: setup ## run all tests
	cargo build --workspace --locked --example consumer_engine
	TOLLGATE_PYTHON=$$(scripts/python.sh) TOLLGATE_NODE_PACKAGES=$$(scripts/node.sh) cargo test --workspace --locked --no-fail-fast --tests

chaos: setup ## a million requests (REQUESTS=…) while everything that can die dies; SEED=… draws the same again
	TOLLGATE_CHAOS_REQUESTS=$(or $(REQUESTS),1000000) $(if $(SEED),TOLLGATE_CHAOS_SEED=$(SEED)) cargo test --release --locked --package tests --test chaos -- --nocapture no_fault

outage: setup ## ten minutes (SECONDS=…) without Kafka during 100,000 requests (REQUESTS=…), gateways killed meanwhile
	TOLLGATE_OUTAGE_REQUESTS=$(or $(REQUESTS),100000) TOLLGATE_OUTAGE_SECONDS=$(or $(SECONDS),600) $(if $(SEED),TOLLGATE_CHAOS_SEED=$(SEED)) cargo test --release --locked --package tests --test chaos -- --nocapture without_any_broker

check: fmt clippy deny ## the lints that need no network

lint: check advisories ## all lints

fmt: ## the style of the code
	cargo fmt --all --check

clippy: ## the wall of lints in Cargo.toml and clippy.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, bans and sources of all dependencies
	@scripts/deny.sh

advisories: ## known vulnerabilities, where their list can be fetched
	@scripts/advisories.sh

bench: ## measure overhead, latency and memory against the simulator
	@scripts/setup.sh run
	cargo build --release --locked
	$(TOLLGATE) bench

# Five runs of the consumer, each with a backlog of its own; what is not reached there is judged by the table.
bench-aims: ## measure against the aims beside nginx (NGINX=its program), all in one table; RECORD=1 writes the page
	@test -n "$(NGINX)" || PATH=$$PATH:/usr/sbin command -v nginx >/dev/null \
	  || { echo 'bench-aims: nginx is missing: install it (Debian: apt-get install nginx-light), or say NGINX=PATH' >&2; exit 2; }
	@scripts/setup.sh run
	cargo build --release --locked
	@rm -rf target/aims && mkdir -p target/aims
	for run in 1 2 3 4 5; do \
	  TOLLGATE_TEST_BINARY=$(TOLLGATE) cargo run --release --locked --package tests --example pipeline -- 1000000 1 target/aims/pipeline-$$run.toml || true; \
	done
	$(TOLLGATE) bench --aims $(if $(NGINX),--nginx $(NGINX)) $(if $(RECORD),--record) \
	  --pipeline target/aims/pipeline-1.toml,target/aims/pipeline-2.toml,target/aims/pipeline-3.toml,target/aims/pipeline-4.toml,target/aims/pipeline-5.toml

bench-growth: ## measure what a request costs as connections, streams and keys grow, and draw it into docs/
	@scripts/setup.sh run
	cargo build --release --locked
	$(TOLLGATE) bench --growth
	cargo run --release --locked --package tests --example plots

bench-allocations: ## count the allocations of a request, and write them into docs/performance.md
	cargo run --release --locked --package tests --features allocations --example allocations -- docs/performance.md

bench-stream: ## measure how soon an event is seen in Kafka and the store, what room it takes, and how soon a gap is named
	@scripts/setup.sh run
	cargo build --release --locked
	TOLLGATE_TEST_BINARY=$(TOLLGATE) cargo run --release --locked --package tests --example stream -- 1000 20 bench/stream.toml

bench-pipeline: ## measure publisher and consumer at their fastest, and memory over a backlog of ten minutes
	@scripts/setup.sh run
	cargo build --release --locked
	TOLLGATE_TEST_BINARY=$(TOLLGATE) cargo run --release --locked --package tests --example pipeline -- 1000000 600 bench/pipeline.toml

bench-ledger: ## measure how long a chargeback of a month of 10,000,000 events takes, and of more and more months
	@scripts/setup.sh run
	cargo build --release --locked
	@mkdir -p bench/growth
	TOLLGATE_TEST_BINARY=$(TOLLGATE) cargo run --release --locked --package tests --example ledger -- 10000000 5 bench/ledger.toml bench/growth/months.csv
	cargo run --release --locked --package tests --example plots

trace: ## replay a real trace through the official client: make trace TRACE=file.csv
	@test -r "$(TRACE)" || { echo 'trace: name a readable trace: make trace TRACE=file.csv' >&2; exit 2; }
	@scripts/setup.sh
	cargo build --release --locked
	TOLLGATE_PYTHON=$$(scripts/python.sh) scripts/trace.sh "$(TRACE)"

fuzz: ## fuzz every target, or TARGET=…, each for SECONDS=60, guided by coverage
	@fuzz/run.sh $(or $(SECONDS),60) $(TARGET)
