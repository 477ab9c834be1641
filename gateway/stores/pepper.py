"""The pepper: the secret with which keys are hashed before they are stored. It lies beside the database, never in it.

A lost pepper makes every stored key unknown, so that a new one is never made where a database is already.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

import structlog

from gateway.config.secret import Secret

log = structlog.get_logger()

PEPPER_BYTES: Final = 32
LEAST_CHARACTERS: Final = 32


class PepperFault(Exception):
    """The pepper cannot be read, made or used; the message is for the operator and holds no secret."""


def pepper_of(secret: Secret) -> bytes:
    """Give the pepper that the setting `access.pepper` means. Raises PepperFault when it is too short."""
    text = secret.reveal()
    if len(text) < LEAST_CHARACTERS:
        msg = f"the pepper from {secret.source} is shorter than {LEAST_CHARACTERS} characters"
        raise PepperFault(msg)
    return hashlib.blake2b(text.encode(), digest_size=PEPPER_BYTES, person=b"switchgear").digest()


def open_pepper_file(database: Path) -> bytes:
    """Give the pepper that lies beside a database file (`NAME.pepper`), making it before the database's first start.

    The file is only for its owner (mode 0600). Several processes that start at once all get the same. Call it before the
    database is opened. Raises PepperFault when it cannot be read or made, or is missing where a database is already.
    """
    path = database.with_name(f"{database.name}.pepper")
    try:
        if not path.exists():
            if database.exists():
                msg = (
                    f"{path} is missing, but {database.name} is there: its keys cannot be told without the file. "
                    "Restore it from the backup that the database came from, or set access.pepper"
                )
                raise PepperFault(msg)
            _make(path)
        return _read(path)
    except OSError as exc:
        msg = f"the pepper file {path} cannot be opened: {exc.strerror}"
        raise PepperFault(msg) from exc


def _make(path: Path) -> None:
    """Write a new pepper whole, or not at all. Where another process was first, its file stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file for its owner only, and a link never replaces what is there.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(PEPPER_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
        log.info("pepper.made", file=str(path))
    except FileExistsError:
        log.debug("pepper.found", file=str(path))
    finally:
        Path(name).unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        log.warning("pepper.exposed", file=str(path), advice="chmod 600")
    try:
        pepper = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        # The error would carry the content.
        msg = f"the pepper file {path} is damaged: it is not {PEPPER_BYTES} bytes in hexadecimal"
        raise PepperFault(msg) from None
    if len(pepper) != PEPPER_BYTES:
        msg = f"the pepper file {path} is damaged: it is not {PEPPER_BYTES} bytes in hexadecimal"
        raise PepperFault(msg)
    return pepper
