#!/usr/bin/env bash
# Install Codex CLI and Claude Code into .agent-clis, for the journeys in tests/journeys/agent_clis (640 MB).
#
#   scripts/setup-agent-clis.sh
#
# Needs npm and a package source; versions and hashes are in the lock file beside the tests. The programs are native and
# come inside the packages: no package's own script is run, and nothing else is fetched. What is installed already stays.
set -euo pipefail
cd "$(dirname "$0")/.."

source=tests/journeys/agent_clis
target=.agent-clis
digest=$(cat "$source/package.json" "$source/package-lock.json" | cksum)

if [ "$(cat "$target/switchgear-setup" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "setup-agent-clis: npm is needed (it comes with Node.js 20 or newer)" >&2
    exit 1
fi
free_kib=$(df -Pk . | awk 'NR == 2 {print $4}')
if [ "$free_kib" -lt $((1536 * 1024)) ]; then
    echo "setup-agent-clis: $((free_kib / 1024)) MB free; 1536 MB are needed" >&2
    exit 1
fi

echo "setup-agent-clis: installing Codex CLI and Claude Code into $target (640 MB)"
mkdir -p "$target"
rm -f "$target/switchgear-setup"
cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$target/"
npm ci --prefix "$target" --loglevel error --no-progress
printf '%s\n' "$digest" >"$target/switchgear-setup"
echo "setup-agent-clis: done ($SECONDS s)"
