#!/usr/bin/env bash
# Make .venv hold what a lock file says, and this checkout. Costs nothing when it already does.
#
#   scripts/setup.sh [runtime|otlp|litellm|dev]      the name of a file in requirements/; dev when not given
#
# Finds a Python 3.11 or newer (PYTHON=/path chooses one) and leaves the work to scripts/setup.py.
set -euo pipefail
cd "$(dirname "$0")/.."

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# The environment's own interpreter answers fastest when there is nothing to do.
for python in .venv/bin/python ${PYTHON:+"$PYTHON"} python3.11 python3 python3.12 python3.13; do
    if new_enough "$python"; then
        exec "$python" -I -S scripts/setup.py "${1:-dev}"
    fi
done

cat >&2 <<'TEXT'
setup: no Python 3.11 or newer was found.
  Debian, Ubuntu:  apt-get install python3.11 python3.11-venv
  macOS:           brew install python@3.11
  or say where it is:  make setup PYTHON=/path/to/python3.11
TEXT
exit 1
