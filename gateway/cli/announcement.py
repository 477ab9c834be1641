"""What `switchgear serve` says when it listens: where, to whom, which models, and a request to paste into a shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from gateway.cli.address import local_url_of, url_of
from gateway.cli.embedding_models import makes_embeddings
from gateway.config import Secret, Settings

MOST_MODELS = 20
"""So many are named; a terminal is not longer."""


def announcement(
    settings: Settings,
    host: str,
    port: int,
    *,
    directory: Path,
    first_key: str | None = None,
    is_open: bool | None = None,
) -> str:
    """Give the lines. `directory` is the configuration's: files with keys are named relative to it.

    `first_key` is the administrator's that was just made; `is_open` says whether anybody on this machine is let in.
    """
    is_open = not settings.server.keys if is_open is None else is_open
    access = _open_to(settings) if is_open else "keys are asked for"
    lines = [f"Switchgear listens on {url_of(host, port)} ({access})"]
    for name, model in list(settings.models.items())[:MOST_MODELS]:
        served = ", ".join(f"{target.provider}/{target.model}" for target in model.every_target)
        lines.append(f"  model {name:<20} {served}")
    if len(settings.models) > MOST_MODELS:
        lines.append(f"  and {len(settings.models) - MOST_MODELS} more: switchgear models")
    if first_key is not None:
        lines += ["The first administrator's key, shown only now:", f"  {first_key}"]
    lines.append("Try:")
    lines.append(f"  {_curl(settings, local_url_of(host, port), directory, is_open=is_open)}")
    return "\n".join(lines)


def _open_to(settings: Settings) -> str:
    """Say who is let in while nobody has a key, and what changes that."""
    if settings.database is None:
        return "no keys configured: open to everybody on this machine"
    file = settings.access.bootstrap_key_file
    first = "the first key" if file is None else f"the first key, in {file}"
    return f"open to everybody on this machine until another key is made; administering takes {first}"


def _curl(settings: Settings, url: str, directory: Path, *, is_open: bool) -> str:
    path, body = _example(settings)
    address = url + path
    # Brackets are a pattern to zsh.
    address = shlex.quote(address) if "[" in address else address
    if settings.server.keys:
        key = f" {_key_header(settings.server.keys[0], directory)}"
    else:
        # Virtual keys and tokens are known to their owners only: the one to use is put into the variable.
        key = "" if is_open else ' -H "authorization: Bearer $SWITCHGEAR_KEY"'
    return f"curl {address} -H 'content-type: application/json'{key} -d {shlex.quote(json.dumps(body))}"


def _example(settings: Settings) -> tuple[str, dict[str, object]]:
    for name, model in settings.models.items():
        if not makes_embeddings(model.every_target[0].model):
            message = {"role": "user", "content": "Say hello."}
            return "/v1/chat/completions", {"model": name, "messages": [message]}
    return "/v1/embeddings", {"model": next(iter(settings.models)), "input": "hello"}


def _key_header(key: Secret, directory: Path) -> str:
    """Give the option that sends a key, which the shell reads from where the configuration does."""
    scheme, _, name = key.source.partition(":")
    if scheme == "env":
        return f'-H "authorization: Bearer ${name}"'
    path = Path(name).expanduser()
    return f'-H "authorization: Bearer $(cat {shlex.quote(str(directory / path))})"'
