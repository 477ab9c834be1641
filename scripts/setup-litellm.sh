#!/usr/bin/env bash
# Install what requirements/litellm.txt says into .litellm, an environment of its own, for the tests of the litellm provider.
#
#   scripts/setup-litellm.sh
#
# litellm wants an older openai than the tests' clients, so .venv cannot hold both. Needs .venv (make setup): its uv
# installs, by hash. Costs a few milliseconds when it is there already. Then: .litellm/bin/python -m gateway serve
set -euo pipefail
cd "$(dirname "$0")/.."

lock=requirements/litellm.txt
stamp=.litellm/switchgear-setup
digest=$(cksum <"$lock")

if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi
mkdir -p .cache
exec 9>.cache/setup-litellm.lock
flock 9
# Another run may have done it while this one waited.
if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi
free_kib=$(df -Pk . | awk 'NR == 2 {print $4}')
if [ "$free_kib" -lt $((2 * 1024 * 1024)) ]; then
    echo "setup-litellm: $((free_kib / 1024 / 1024)) GB free; 2 GB are needed" >&2
    exit 1
fi

eval "$(.venv/bin/python scripts/index_settings.py)"
echo "setup-litellm: installing $lock into .litellm (by hash)"
rm -f "$stamp"
.litellm/bin/python -c '' 2>/dev/null || .venv/bin/uv venv --quiet --clear --python "$(readlink -f .venv/bin/python)" .litellm
VIRTUAL_ENV="$PWD/.litellm" .venv/bin/uv pip sync --quiet --require-hashes "$lock"
printf '%s\n' "$digest" >"$stamp"
echo "setup-litellm: done ($SECONDS s)"
