# What a person does with this tree. `make` alone lists it.

SHELL := bash
CARGO ?= cargo

.PHONY: help build test lab lab-down bench

help:
	@echo 'make build      the programs, optimised, in target/release'
	@echo 'make test       everything that is checked before a change goes in'
	@echo 'make lab        one router, three nodes, in network namespaces'
	@echo 'make lab-down   ends and removes the lab'
	@echo 'LAB_ROUTER=frr make lab   the same with FRR as the router'
	@echo 'make bench      our daemon beside others, into docs/benchmarks.md; takes hours'
	@echo 'make bench SCENARIO=full-table,ipv6 DAEMONS=holdfast,bird RUNS=3   a part'
	@echo 'make bench SCENARIO=fib VARIANTS=4   routes with four next hops into the kernel'
	@echo 'make bench RUNS=5 SLOW_ROUNDS=2   fewer rounds for runs of over a minute'
	@echo 'make bench QUICK=1    small sizes, no report: does it work?'
	@echo 'make bench REPORT=1   the report from earlier results'

build:
	$(CARGO) build --release -p holdfast-bgpd -p vtysh --bins

test:
	tests/need-packages.sh ip:iproute2 sysctl:procps tshark:tshark /usr/sbin/bird:bird2 \
	  gobgpd:gobgpd gobgp:gobgpd /usr/lib/frr/bgpd:frr /usr/lib/frr/frr-reload.py:frr-pythontools \
	  /usr/lib/$$(uname -m)-linux-gnu/frr/modules/bgpd_rpki.so:frr-rpki-rtrlib stayrtr:stayrtr
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) build -p holdfast-bgpd -p vtysh --bins
	@[ "$$(id -u)" -eq 0 ] || echo 'Not root: tests that need network namespaces will be skipped.'
	$(CARGO) test --workspace
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

lab:
	examples/lab/lab.sh up

lab-down:
	examples/lab/lab.sh down

bench:
	tests/need-packages.sh ip:iproute2 sysctl:procps setpriv:util-linux /usr/sbin/bird:bird2 \
	  gobgpd:gobgpd gobgp:gobgpd /usr/lib/frr/bgpd:frr /usr/sbin/bgpd:openbgpd
	$(CARGO) build --release -p holdfast-bgpd -p vtysh -p holdfast-bench --bins
	$${CARGO_TARGET_DIR:-target}/release/bench \
	  $(if $(SCENARIO),--scenarios $(SCENARIO)) $(if $(DAEMONS),--daemons $(DAEMONS)) \
	  $(if $(VARIANTS),--variants $(VARIANTS)) \
	  --runs $(or $(RUNS),$(if $(QUICK),1,5)) $(if $(QUICK),--quick) $(if $(REPORT),--report-only) \
	  $(addprefix --slow-rounds ,$(or $(SLOW_ROUNDS),$(if $(filter 1 2 3 4,$(RUNS)),1))) \
	  --commit "$$(git describe --always --dirty 2>/dev/null || echo unknown)" \
	  --results $${CARGO_TARGET_DIR:-target}/bench/results.jsonl
