# SPDX-License-Identifier: MIT
# The short way to everything; Meson and Ninja do the building.
#
#   make            build/ with the tools
#   make demo       two real Xen hosts exchange a running VM (the main job); XEN=4.17 or 4.20: not this Debian's release
#   make demo-pool  three real Xen hosts of two releases join a pool, have VMs born on its level, and one of them is emptied, rebooted
#                   and found to have changed; its picture is build/pool.html
#   make check      every test; the last line counts them (half an hour on two cores)
#   make check-quick   after an edit: build, format, unit tests, and the fast ones of the others (a minute)
#   make check-fresh   the README's commands in minimal Debians made by debootstrap (root, network);
#                      RELEASE=bookworm or trixie: only that one
#   make prove      proofs about the policy library (CBMC); make prove-broken: see them fail
#   make bench      the performance tables, each peer measured in the same run
#   make packages   Debian packages of the tree, into build/packages
#   make check-packages   their life cycle in a minimal Debian: install, upgrade, downgrade, a second Xen, purge (root, network)
#   make install    PREFIX=/usr/local DESTDIR=

BUILD  ?= build
PREFIX ?= /usr/local
PYTHON := /usr/bin/python3

.PHONY: all build demo demo-pool check check-fresh check-packages check-quick packages prove prove-broken bench install format clean

all: build

$(BUILD)/build.ninja:
	@scripts/ensure-packages.sh build
	meson setup $(BUILD) --prefix=$(PREFIX)

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

demo:
	@scripts/ensure-packages.sh build lab
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && \
	    if ! $(MAKE) --no-print-directory build >"$$log" 2>&1; then cat "$$log" >&2; exit 1; fi
	@$(PYTHON) tests/lab/demo.py --build $(BUILD) $(XEN:%=--xen %)

demo-pool:
	@scripts/ensure-packages.sh build lab
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && \
	    if ! $(MAKE) --no-print-directory build >"$$log" 2>&1; then cat "$$log" >&2; exit 1; fi
	@$(PYTHON) tests/lab/demo_pool.py --build $(BUILD) --report $(BUILD)/pool.html

check:
	@scripts/ensure-packages.sh build lab check
	@$(PYTHON) tests/run.py

check-quick:
	@scripts/ensure-packages.sh build lab check
	@$(PYTHON) tests/run.py --quick

check-fresh:
	@[ "$$(id -u)" != 0 ] || scripts/ensure-packages.sh fresh
	@$(PYTHON) tests/fresh/fresh.py $(RELEASE:%=--release %)

packages:
	@scripts/ensure-packages.sh build packages
	@scripts/make-packages.sh $(BUILD)/packages

check-packages:
	@scripts/ensure-packages.sh fresh
	@$(PYTHON) tests/packages/life.py

prove:
	@scripts/ensure-packages.sh prove
	@$(PYTHON) tests/prove/prove.py

prove-broken:
	@scripts/ensure-packages.sh prove
	@$(PYTHON) tests/prove/prove.py --broken

bench:
	@scripts/ensure-packages.sh build lab check bench
	@$(PYTHON) tests/bench/run.py

install: build
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@ninja -C $(BUILD)
	meson install -C $(BUILD) --no-rebuild

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build build-*
