#!/usr/bin/env bash
# Every gate that reads the code without running the product. All of them run; one failure fails the whole.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export PATH="$PWD/.venv/bin:$PATH"

failed=()

gate() {
    local name=$1 began=$SECONDS output status
    shift
    output=$("$@" 2>&1)
    status=$?
    if [ "$status" -eq 0 ]; then
        printf 'check: %-14s ok      %3d s\n' "$name" "$((SECONDS - began))"
    else
        printf 'check: %-14s FAILED  %3d s\n%s\n' "$name" "$((SECONDS - began))" "$output"
        failed+=("$name")
    fi
}

mapfile -t shell_scripts < <(printf '%s\n' .ci/run scripts/*.sh)

gate format ruff format --check .
gate lint ruff check .
gate types mypy
gate pyright basedpyright
gate imports lint-imports
gate shell shellcheck "${shell_scripts[@]}"
gate dockerfile hadolint Dockerfile
gate architecture python -m pytest -q --tb=short tests/architecture

if [ "${#failed[@]}" -gt 0 ]; then
    echo "check: failed: ${failed[*]}"
    exit 1
fi
