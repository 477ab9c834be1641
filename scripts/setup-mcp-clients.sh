#!/usr/bin/env bash
# Install the MCP inspector and the official TypeScript SDKs into .mcp-clients, for the tests in tests/mcp_clients (135 MB).
#
#   scripts/setup-mcp-clients.sh
#
# By hash, from the package source that npm is configured for; no package's own script is run. The inspector wants a newer Node.js than
# most machines have: it is the one of .mcp-conformance, which is installed first where it is not there. What is installed already stays.
set -euo pipefail
cd "$(dirname "$0")/.."

source=tests/mcp_clients
target=.mcp-clients
node=.mcp-conformance/node
scripts/setup-mcp-conformance.sh
digest=$(cat "$source/package.json" "$source/package-lock.json" | cksum)

if [ "$(cat "$target/switchgear-setup" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi
echo "setup-mcp-clients: installing into $target (135 MB)"
rm -rf "$target"
mkdir -p "$target"
cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$target/"
PATH="$PWD/$node/bin:$PATH" "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" \
    ci --prefix "$target" --loglevel error --no-progress
printf '%s\n' "$digest" >"$target/switchgear-setup"
echo "setup-mcp-clients: done ($SECONDS s)"
