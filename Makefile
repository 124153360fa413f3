# Leasehold. `make demo` and `make test` do everything by themselves on a fresh Debian machine.

# Outside the clone, so that RocksDB is compiled once for every clone; it need not exist.
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)
export CARGO_TARGET_DIR ?= $(CACHE)/leasehold/target
# Where rustup puts cargo; a shell that was open before the installation does not know.
export PATH := $(HOME)/.cargo/bin:$(PATH)

DEMO_OPTIONS ?=
BENCH_OPTIONS ?=
# How far `make simulate` goes, and from which seed on.
SIMULATE_STEPS ?= 40000000
SIMULATE_FIRST ?= 1
SIMULATE_SEEDS ?= 1000
# Seconds of each fuzz target.
FUZZ_SECONDS ?= 60

.PHONY: help toolchain build demo test simulate fuzz bench lint fix

help:
	@echo "make demo    build, then run a pair and a witness on loopback with clients (DEMO_OPTIONS=...)"
	@echo "make test    everything that CI runs"
	@echo "make simulate  the rules of availability under every fault"
	@echo "             (SIMULATE_STEPS=..., SIMULATE_SEEDS=..., SIMULATE_FIRST=...)"
	@echo "make fuzz    the parsers, each with octets that a fuzzer finds (FUZZ_SECONDS=...)"
	@echo "make bench   measure beside ISC Kea and ISC dhcpd in network namespaces (BENCH_OPTIONS=...)"
	@echo "make lint    formatting and clippy, read-only"
	@echo "make fix     format, and let clippy mend what it can"

toolchain:
	@tests/install-toolchain.sh

build: toolchain
	tests/install-packages.sh build
	cargo build --release --locked --package ops

demo: build
	$(CARGO_TARGET_DIR)/release/leasehold demo $(DEMO_OPTIONS)

test: toolchain
	tests/run.sh

simulate: toolchain
	SIMULATE_STEPS=$(SIMULATE_STEPS) SIMULATE_FIRST=$(SIMULATE_FIRST) SIMULATE_STORY_SEEDS=2000 TEETH_SEEDS=20000 \
	  cargo test --release --locked --package tests --test simulation -- --nocapture
	RING_TWO_SEEDS=$(SIMULATE_SEEDS) RING_TWO_FIRST=$(SIMULATE_FIRST) \
	  cargo test --release --locked --package replication-raft --test ring_two -- --nocapture

fuzz: toolchain
	set -e; for target in tests/fuzz/fuzz_targets/*.rs; do \
	  tests/fuzz/run.sh $$(basename $$target .rs) $(FUZZ_SECONDS); done

bench: toolchain
	tests/bench/run.sh $(BENCH_OPTIONS)

lint: toolchain
	tests/run.sh lint

fix: toolchain
	cargo fmt --all
	cargo clippy --release --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all
