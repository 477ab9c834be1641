"""A real vLLM on CPU, started and ended by a real Switchgear process. `make test-vllm` installs it; it starts in minutes."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import anthropic
import httpx2
import openai
import psutil
import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".vllm" / "bin" / "python"
MODEL = ROOT / ".vllm" / "models" / "smollm2-135m-instruct"
START_S = 600

CONFIGURATION = """
server: {{host: 127.0.0.1, port: {port}}}
providers:
  gpu:
    kind: vllm
    load_interval: 0.5
    timeouts: {{connect: 5, first_token: 120, idle: 60}}
    spawn:
      python: {python}
      model: {model}
      port: {vllm_port}
      start_timeout: {start_s}
      args: [--served-model-name, smol, --enforce-eager, --dtype, bfloat16, --max-model-len, "2048", --max-num-seqs, "8",
             --enable-auto-tool-choice, --tool-call-parser, hermes,
             --structured-outputs-config, '{{"backend": "xgrammar", "disable_any_whitespace": true}}']
      env: {{VLLM_CPU_KVCACHE_SPACE: "1", HF_HUB_OFFLINE: "1", VLLM_API_KEY: "env:VLLM_KEY_OF_THIS_TEST",
            VLLM_LOGGING_CONFIG_PATH: {vllm_logging}}}
  native:
    kind: vllm
    base_url: http://127.0.0.1:{vllm_port}/v1
    api_key: env:VLLM_KEY_OF_THIS_TEST
    apis: [chat, messages]
    load_interval: 0
  adapters:
    kind: vllm
    base_url: http://127.0.0.1:{vllm_port}/v1
    api_key: env:VLLM_KEY_OF_THIS_TEST
    load_interval: 1
    lora: {{poet: /there/is/no/such/adapter}}
models:
  smol: gpu/smol
  smol-native: native/smol
  poet: adapters/poet
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def to_file(path):
    """Python's logging configuration for vLLM, so that a failing test can be explained."""
    handler = {"class": "logging.FileHandler", "filename": str(path)}
    loggers = {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}}
    return {"version": 1, "disable_existing_loggers": False, "handlers": {"file": handler}, "loggers": loggers}


def still_running(processes):
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


class Gateway:
    """One Switchgear process, and the vLLM below it."""

    def __init__(self, folder):
        self.key = secrets.token_hex(16)
        self.port, self.vllm_port = free_port(), free_port()
        self.url, self.vllm_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.vllm_port}"
        config = folder / "switchgear.yaml"
        self.vllm_log, vllm_logging = folder / "vllm.log", folder / "vllm-logging.json"
        vllm_logging.write_text(json.dumps(to_file(self.vllm_log)))
        ports = {"port": self.port, "vllm_port": self.vllm_port}
        config.write_text(
            CONFIGURATION.format(python=PYTHON, model=MODEL, start_s=START_S, vllm_logging=vllm_logging, **ports)
        )
        self.log = folder / "log"
        self._clients = [
            openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=180),
            anthropic.Anthropic(base_url=self.url, api_key="none", max_retries=0, timeout=180),
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["nice", "-n", "5", sys.executable, "-m", "gateway", "serve", "--config", str(config)],
                cwd=ROOT,
                env={**os.environ, "VLLM_KEY_OF_THIS_TEST": self.key},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def family(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait(self, condition, seconds=START_S):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            if condition():
                return
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.5)
        pytest.fail(
            f"not in time; the logs end with:\n{self.log.read_text()[-3000:]}\n{self.vllm_log.read_text()[-3000:]}"
        )

    def is_ready(self):
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def running(self):
        """How many requests vLLM itself says that it computes."""
        metrics = httpx2.get(f"{self.vllm_url}/metrics", timeout=10).text
        samples = [line for line in metrics.splitlines() if line.startswith("vllm:num_requests_running{")]
        return sum(float(line.rpartition(" ")[2]) for line in samples)

    def openai(self):
        return self._clients[0]

    def anthropic(self):
        return self._clients[1]

    def end(self, how=signal.SIGTERM):
        """End the gateway; give what is left of its family after 30 seconds."""
        for client in self._clients:
            client.close()
        family = self.family()
        self.process.send_signal(how)
        self.process.wait(60)
        psutil.wait_procs(family, timeout=30)
        return still_running(family)


@pytest.fixture(scope="session")
def launch(tmp_path_factory):
    """Start a gateway; what a failed test leaves running is killed at the end."""
    if not PYTHON.exists():
        pytest.fail("there is no .vllm: run make test-vllm, or scripts/setup-vllm.sh")
    launched = []

    def launch():
        gateway = Gateway(tmp_path_factory.mktemp("gateway"))
        launched.append(gateway)
        return gateway

    yield launch
    for gateway in launched:
        if gateway.process.poll() is None:
            family = gateway.family()
            gateway.process.kill()
            for each in still_running(family):
                each.kill()


@pytest.fixture(scope="session")
def gateway(launch):
    """A gateway whose vLLM is ready; after the last test it is stopped, and must leave nothing behind."""
    gateway = launch()
    gateway.wait(gateway.is_ready)
    yield gateway
    assert gateway.end() == [], "vLLM's processes outlive an orderly stop"
    assert gateway.process.returncode == 0
