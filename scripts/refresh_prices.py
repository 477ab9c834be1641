"""Refresh gateway/accounting/prices.json: the part of litellm's price and capability table that Switchgear uses.

    .venv/bin/python scripts/refresh_prices.py                 the version pinned in requirements/litellm.txt
    .venv/bin/python scripts/refresh_prices.py 1.106.2         another version
    .venv/bin/python scripts/refresh_prices.py path/to.whl     a wheel that is already here

The table is read out of the wheel; litellm is neither installed nor imported. Standard library only.
"""

import datetime as dt
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "gateway/accounting/prices.json"
TABLE = "litellm/model_prices_and_context_window_backup.json"

# litellm's name of a provider -> the name in the snapshot. First the kinds of ours, then what litellm itself adapts for us.
PROVIDERS = {
    **{name: name for name in ("anthropic", "azure", "cerebras", "deepseek", "gemini", "groq", "mistral", "nvidia_nim", "openai")},
    **{name: name for name in ("openrouter", "together_ai", "xai", "fireworks_ai")},
    "azure_text": "azure",
    "fireworks_ai-embedding-models": "fireworks_ai",
    "text-completion-openai": "openai",
    **{name: name for name in ("azure_ai", "bedrock", "cohere", "databricks", "perplexity", "vertex_ai", "voyage", "watsonx")},
    "bedrock_converse": "bedrock",
    "cohere_chat": "cohere",
}  # fmt: skip
MODES = {"chat", "completion", "embedding", "moderation", "rerank", "responses"}
PRICES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
}
# What is billed by something else than text tokens has no price here: half a price would be a wrong cost.
OTHERWISE_BILLED = ("input_cost_per_query", "output_cost_per_image", "output_cost_per_image_token", "tiered_pricing")
ABILITIES = {
    "audio": "supports_audio_input",
    "functions": "supports_function_calling",
    "parallel_functions": "supports_parallel_function_calling",
    "pdf": "supports_pdf_input",
    "prompt_caching": "supports_prompt_caching",
    "reasoning": "supports_reasoning",
    "response_schema": "supports_response_schema",
    "tool_choice": "supports_tool_choice",
    "vision": "supports_vision",
}
TIER = re.compile(r"^input_cost_per_token_above_(\d+)k_tokens$")


def main() -> None:
    """Write the snapshot, and say what it holds."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else pinned_version()
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(wanted) if wanted.endswith(".whl") else download(wanted, Path(folder))
        version = wheel.name.split("-")[1]
        with zipfile.ZipFile(wheel) as archive:
            table = json.loads(archive.read(TABLE), parse_float=Decimal)
            date = dt.date(*archive.getinfo(TABLE).date_time[:3])
    models = trim(table)
    SNAPSHOT.write_text(render(models, version, date))
    print(f"{SNAPSHOT.relative_to(ROOT)}: {len(models)} of {len(table)} models, {SNAPSHOT.stat().st_size // 1024} KiB")


def pinned_version() -> str:
    """The version of litellm that the lock file names."""
    found = re.search(r"^litellm==(\S+)", (ROOT / "requirements/litellm.txt").read_text(), flags=re.MULTILINE)
    if found is None:
        sys.exit("requirements/litellm.txt does not pin litellm")
    return found.group(1)


def download(version: str, folder: Path) -> Path:
    """Fetch the wheel, and nothing that it depends on, from the index that pip is configured for."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]
    subprocess.run([*command, str(folder), f"litellm=={version}"], check=True)
    return next(folder.glob("litellm-*.whl"))


def trim(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Keep the models that we serve, under "provider/model", with the fields that we use."""
    models: dict[str, dict[str, Any]] = {}
    # Keys that name their provider come last, so that they win over an older bare name of the same model.
    for key in sorted(table, key=lambda key: (key.startswith(f"{table[key].get('litellm_provider')}/"), key)):
        entry = table[key]
        provider = provider_of(str(entry.get("litellm_provider")))
        if provider is not None and entry.get("mode") in MODES:
            models[f"{provider}/{model_of(key, provider)}"] = dict(describe(entry))
    return dict(sorted(models.items()))


def provider_of(name: str) -> str | None:
    """The snapshot's name of a provider; litellm divides Vertex AI by publisher."""
    return "vertex_ai" if name.startswith("vertex_ai-") else PROVIDERS.get(name)


def model_of(key: str, provider: str) -> str:
    """The model's name at the provider."""
    for prefix in (provider, *(name for name, ours in PROVIDERS.items() if ours == provider)):
        if key.startswith(f"{prefix}/"):
            return key.removeprefix(f"{prefix}/")
    return key


def describe(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of one model, in US dollars per million tokens and in tokens."""
    yield "mode", entry["mode"]
    for name, key in (("context", "max_input_tokens"), ("max_output", "max_output_tokens")):
        if isinstance(entry.get(key), int) and entry[key] > 0:
            yield name, entry[key]
    if is_priced(entry):
        yield from prices(entry, "")
        tiers = sorted(int(found.group(1)) for key in entry if (found := TIER.match(key)))
        if tiers:
            yield "tiers", [{"above": size * 1000, **dict(prices(entry, f"_above_{size}k_tokens"))} for size in tiers]
    able = [name for name, key in ABILITIES.items() if entry.get(key)]
    if able:
        yield "supports", able


def is_priced(entry: Mapping[str, Any]) -> bool:
    """Whether the price of text tokens says what a call costs.

    In the table zero means free, or that nobody knew; only moderation is known to be free.
    """
    if any(entry.get(key) for key in OTHERWISE_BILLED):
        return False
    return entry["mode"] == "moderation" or any(entry.get(PRICES[name]) for name in ("input", "output"))


def prices(entry: Mapping[str, Any], suffix: str) -> Iterator[tuple[str, int | float]]:
    """Dollars per million tokens."""
    for name, key in PRICES.items():
        value = entry.get(key + suffix)
        if isinstance(value, Decimal | int):
            # The table holds a few prices that went through binary fractions; nine places hide that.
            million = round(Decimal(value) * 1_000_000, 9)
            yield name, int(million) if million == million.to_integral_value() else float(million)


def render(models: Mapping[str, Any], version: str, date: dt.date) -> str:
    """One model a line, sorted: a refresh reads well as a diff."""
    about = {
        "source": f"{TABLE} of litellm {version}, trimmed by scripts/refresh_prices.py",
        "date": date.isoformat(),
        "licence": "MIT, copyright (c) 2023 Berri AI",
        "unit": "US dollars per million tokens",
    }
    lines = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in models.items()
    )
    return f'{{"about":{json.dumps(about)},\n"models":{{\n{lines}\n}}}}\n'


if __name__ == "__main__":
    main()
