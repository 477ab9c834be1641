"""Hands the package index that pip is configured for on this machine to uv, which does not read pip's settings.

Prints `export UV_…=…` lines for a shell to evaluate (or JSON with --json), from `pip config list` (files and PIP_*
variables). It names no index of its own, and leaves alone what the caller has set for uv. Standard library only.
"""

import ast
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

SCOPES = ("global.", "install.", ":env:.")  # later wins, as in pip
SEPARATORS = {"UV_INDEX": " ", "UV_FIND_LINKS": ",", "UV_INSECURE_HOST": " "}


def parse_settings(listing: str) -> dict[str, str]:
    """The options that `pip install` would use, by name without its scope, out of what `pip config list` printed."""
    found: dict[str, str] = {}
    for scope in SCOPES:
        for line in listing.splitlines():
            key, equals, value = line.partition("=")
            if equals and key.startswith(scope):
                found[key.removeprefix(scope).replace("_", "-")] = str(ast.literal_eval(value))
    return found


def translate(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of uv for pip's options; options that uv shares by itself are left out."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "trusted-host": "UV_INSECURE_HOST",
        "cert": "SSL_CERT_FILE",
        "timeout": "UV_HTTP_TIMEOUT",
        "default-timeout": "UV_HTTP_TIMEOUT",
    }
    exported = {
        names[option]: SEPARATORS.get(names[option], " ").join(value.split())
        for option, value in settings.items()
        if option in names and value.strip()
    }
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        exported["UV_NO_INDEX"] = "1"
    # pip takes the best version of all its indexes; safe here because every file is pinned by hash.
    return {**exported, "UV_INDEX_STRATEGY": "unsafe-best-match"}


def main() -> None:
    """Print the lines for the interpreter's own pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wanted = {name: value for name, value in translate(parse_settings(listing)).items() if name not in os.environ}
    if "--json" in sys.argv[1:]:
        print(json.dumps(wanted))
        return
    for name, value in sorted(wanted.items()):
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
