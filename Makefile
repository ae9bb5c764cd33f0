# What a person does with this tree. `make` alone lists it.

SHELL := bash
CARGO ?= cargo

.PHONY: help build test lab lab-down

help:
	@echo 'make build      the programs, optimised, in target/release'
	@echo 'make test       everything that is checked before a change goes in'
	@echo 'make lab        one router, three nodes, in network namespaces'
	@echo 'make lab-down   ends and removes the lab'
	@echo 'LAB_ROUTER=frr make lab   the same with FRR as the router'

build:
	$(CARGO) build --release -p holdfast-bgpd -p vtysh --bins

test:
	tests/need-packages.sh ip:iproute2 sysctl:procps tshark:tshark /usr/sbin/bird:bird2 \
	  gobgpd:gobgpd gobgp:gobgpd /usr/lib/frr/bgpd:frr /usr/lib/frr/frr-reload.py:frr-pythontools
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
