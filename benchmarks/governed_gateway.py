"""The gateway with all of its governance on, as a process: a configuration, and a virtual key made through its admin API."""

from __future__ import annotations

import json
import pathlib
import shutil
import urllib.request

MODELS = ("mock-1", "mock-s64", "mock-s100-d10")
CONFIG = """
logging: {format: json}
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key}
policies: {folder: policies, default: deny}
limits:
  requests: {limit: 1000000000, per: [key]}
  tokens: {count: tokens, limit: 1000000000000, per: [tenant]}
  money: {count: cost, limit: 1000000, per: [team], window: month, window_kind: calendar, time_zone: Europe/Berlin}
"""
POLICY = '@id("tenant") permit (principal in Tenant::"default", action == Action::"use_model", resource);\n'


def write_governed(folder: pathlib.Path, upstream: str) -> pathlib.Path:
    """Write what a gateway needs that has ledger, policies, two rates and a budget; give its configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "policies").mkdir(parents=True)
    (folder / "policies/bench.cedar").write_text(POLICY)
    config = folder / "switchgear.yaml"
    provider = f'{{kind: openai_compatible, base_url: "{upstream}", connections: 2048}}'
    models = "".join(f"  {name}: mock/{name}\n" for name in MODELS)
    prices = "".join(f"  mock/{name}: {{input: 1.25, output: 10}}\n" for name in MODELS)
    config.write_text(f"{CONFIG}providers:\n  mock: {provider}\nmodels:\n{models}prices:\n{prices}")
    return config


def make_key(url: str, folder: pathlib.Path) -> str:
    """Make a virtual key with the first admin key; give its text."""
    first = (folder / "data/first.key").read_text().strip()
    headers = {"content-type": "application/json", "authorization": f"Bearer {first}"}
    request = urllib.request.Request(f"{url}/admin/keys", data=b'{"name": "bench"}', headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        made: dict[str, str] = json.loads(response.read())
    return made["key"]
