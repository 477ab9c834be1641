"""How a vLLM server is started: its command, its environment, and when it is ready. It starts nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.config.provider_settings import VllmSpawnSettings
from gateway.config.secret import Secret
from gateway.providers.supervisor import ChildCommand, ChildLines, ChildSupervisor, Ready, RestartPolicy, probed

HOST = "127.0.0.1"
_LAUNCHER = Path(__file__).with_name("launcher.py")
_API_KEY = "VLLM_API_KEY"
# What a program needs to find its libraries, caches and devices. Keys and tokens of the gateway are not among them: whatever
# else vLLM is to have is written under spawn.env.
_INHERITED = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD"),
        *("CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
        *("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME"),
        *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
    }
)
_STOP_S = 15.0


def own_key(settings: VllmSpawnSettings) -> str | None:
    """Give the key that the operator has the server ask for, through its environment."""
    value = settings.env.get(_API_KEY)
    return value.reveal() if isinstance(value, Secret) else value


def command(settings: VllmSpawnSettings, lora: Mapping[str, str], environ: Mapping[str, str], key: str) -> ChildCommand:
    """Give the command that serves the model on its port of 127.0.0.1, to who knows `key`."""
    listens = ("--host", HOST, "--port", str(settings.port))
    serve = ("-m", "vllm.entrypoints.cli.main", "serve", settings.model, *listens, *_lora_options(settings, lora))
    python = str(settings.python.expanduser())
    env = {name: environ[name] for name in sorted(_INHERITED & environ.keys())}
    env |= {name: value.reveal() if isinstance(value, Secret) else value for name, value in settings.env.items()}
    # Through the environment, because everybody on the machine can read a command line.
    env.setdefault(_API_KEY, key)
    # -m puts the working folder first on the path; nothing there is meant to be imported by vLLM.
    env.setdefault("PYTHONSAFEPATH", "1")
    # -I: nothing in the working folder can stand in for a module of the standard library.
    argv = (python, "-I", str(_LAUNCHER), str(settings.port), python, *serve, *settings.args)
    return ChildCommand(argv=argv, first_line="", env=env)


def _lora_options(settings: VllmSpawnSettings, lora: Mapping[str, str]) -> tuple[str, ...]:
    if not lora:
        return ()
    modules = (msgspec.json.encode({"name": name, "path": path}).decode() for name, path in lora.items())
    enable = () if "--enable-lora" in settings.args else ("--enable-lora",)
    return (*enable, "--lora-modules", *modules)


def supervisor(name: str, settings: VllmSpawnSettings, started_by: ChildCommand) -> ChildSupervisor:
    """Give the supervisor of the server: it starts with the gateway, because loading takes minutes."""
    policy = RestartPolicy(start_timeout=settings.start_timeout, stop_timeout=_STOP_S, quick=60)
    return ChildSupervisor(name, started_by, ready=launched(settings.port), policy=policy, lazy=False)


def launched(port: int) -> Ready:
    """Make a readiness check: first the launcher has found the port free, only then is /health an answer of ours."""
    healthy = probed(HOST, port, "/health")

    async def check(lines: ChildLines) -> str:
        while await lines.next() != "launching":
            pass
        return await healthy(lines)

    return check
