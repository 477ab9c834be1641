# Every target sets up .venv first when it has to; `make help` lists them. Arguments go on with ARGS="…".
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup serve demo test check fmt bench test-clis test-mcp test-mcp-clients test-vllm lock clean
PYTHON ?=
ARGS ?=
export PYTHON

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install everything into .venv, by hash; KIND=runtime|otlp|litellm|dev chooses a lock file
	@scripts/setup.sh $(or $(KIND),dev)

serve: ## start the server; make serve ARGS="--port 9000 --config my.yaml"
	@scripts/setup.sh $(or $(KIND),runtime)
	@exec .venv/bin/switchgear serve $(ARGS)

demo: ## show the on-call agent at work on a simulated cluster; make demo ARGS=--yes asks nobody
	@scripts/setup.sh $(or $(KIND),runtime)
	@exec .venv/bin/python -m examples.oncall.demo $(ARGS)

test: ## run the tests; make test ARGS="tests/unit -k retry"
	@scripts/setup.sh dev
	@exec .venv/bin/python -m pytest $(ARGS)

check: ## format, lint, types, import contracts, architecture tests
	@scripts/setup.sh dev
	@exec scripts/check.sh

fmt: ## format the code and apply the safe fixes
	@scripts/setup.sh dev
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix-only --exit-zero .

bench: ## measure beside nginx and write benchmarks/RESULTS.md (needs nginx and gcc)
	@scripts/setup.sh dev
	@exec .venv/bin/python benchmarks/run.py $(ARGS)

test-clis: ## install Codex CLI and Claude Code into .agent-clis (640 MB) and run them against Switchgear
	@scripts/setup.sh dev
	@scripts/setup-agent-clis.sh
	@exec .venv/bin/python -m pytest -m agent_clis tests/journeys/agent_clis $(ARGS)

test-mcp: ## install MCP's conformance suite into .mcp-conformance (260 MB) and hold connector and /mcp to it
	@scripts/setup.sh dev
	@scripts/setup-mcp-conformance.sh
	@exec .venv/bin/python -m pytest -m mcp_conformance tests/mcp_conformance $(ARGS)

test-mcp-clients: ## install the MCP inspector and the TypeScript SDKs into .mcp-clients (135 MB) and run them against /mcp
	@scripts/setup.sh dev
	@scripts/setup-mcp-clients.sh
	@exec .venv/bin/python -m pytest -m mcp_clients tests/mcp_clients $(ARGS)

test-vllm: ## install vLLM for CPU into .vllm (3.5 GB) and run the tests against it
	@scripts/setup.sh dev
	@scripts/setup-vllm.sh
	@exec .venv/bin/python -m pytest -m vllm tests/vllm $(ARGS)

lock: ## refresh requirements/*.txt; make lock ARGS=--upgrade takes the newest
	@scripts/setup.sh dev
	@exec scripts/lock.sh $(ARGS)

clean: ## remove caches and build output; .venv, .vllm, .litellm, .suites, .agent-clis, .mcp-clients and .mcp-conformance stay
	@rm -rf .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache dist build benchmarks/.build
	@find . -path ./.venv -prune -o -path ./.vllm -prune -o -path ./.litellm -prune -o -path ./.suites -prune -o -path ./.agent-clis -prune -o -path ./.mcp-clients -prune -o -path ./.mcp-conformance -prune -o -name __pycache__ -type d -exec rm -rf {} +
