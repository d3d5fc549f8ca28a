# The commands that people and CI use. `make help` lists them.

# Tests and clones share what they build; a machine's own setting wins.
export CARGO_TARGET_DIR ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/kinetic/target

DURATION ?=
SEED ?=
KILLS ?= 200
IDLE ?= 300

.PHONY: help demo test soak fuzz lint release bench crds

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: ## see it work: eight web hosts, one turns slow, a mail says so (DURATION=90s ends by itself)
	@DURATION='$(DURATION)' examples/web-shop/demo

test: ## run every test, installing or naming what it needs
	@scripts/prerequisites
	@scripts/test

soak: ## kill analyzer, alert service and broker 200 times at random moments (SEED=7 KILLS=50); idle connections (IDLE=300 seconds)
	@scripts/prerequisites
	cargo build --package kinetic
	@KINETIC_SOAK_SEED='$(or $(SEED),$(shell date +%s))' KINETIC_SOAK_KILLS='$(KILLS)' \
	cargo test --package kinetic-tests --test soak -- --nocapture kills_change_nothing
	@KINETIC_SOAK_IDLE='$(IDLE)' cargo test --package kinetic-tests --test door -- --nocapture idle::

fuzz: ## run each decoder's fuzz target (SECONDS=60)
	@SECONDS_EACH='$(SECONDS)' scripts/fuzz

lint: ## formatting, clippy and the policy for dependencies, as CI runs them
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --log-level error check bans licenses sources; \
	else echo "skipped: deny.toml is not checked (cargo install cargo-deny)"; fi

release: ## build kinetic for use, with what runs beside each other in memory (valgrind tells what does)
	@RELEASE=1 scripts/prerequisites
	@scripts/release

bench: ## print the benchmarks, beside peers and raw limits
	@RELEASE=1 scripts/prerequisites
	@scripts/release
	@$(CARGO_TARGET_DIR)/release/kinetic-bench

crds: ## write crds/ anew from lib/api
	UPDATE_CRDS=1 cargo test --package kinetic-api --test crds
