"""A configuration written to a temporary directory, and what loading it says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config import ConfigError, Fault, Settings, load

LOCAL = "providers: {local: {kind: embedded}}\n"
SMALL = "models: {small: local/smollm2-135m-instruct}\n"


class Configuration:
    """A file `switchgear.yaml` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "switchgear.yaml"

    def load(self, text: str, environ: Mapping[str, str] | None = None, **options) -> Settings:
        self.path.write_text(dedent(text), encoding="utf-8")
        return load(self.path, environ or {}, **options)

    def faults(self, text: str, environ: Mapping[str, str] | None = None, **options) -> tuple[Fault, ...]:
        with pytest.raises(ConfigError) as caught:
            self.load(text, environ, **options)
        return caught.value.faults


@pytest.fixture
def configuration(tmp_path) -> Configuration:
    return Configuration(tmp_path)


@pytest.fixture
def provider(configuration) -> Callable[..., object]:
    """Load one provider `p`, given the lines inside its braces."""

    def load_provider(inside: str, environ: Mapping[str, str] | None = None) -> object:
        return configuration.load(f"providers: {{p: {{{inside}}}}}\nmodels: {{m: p/x}}\n", environ).providers["p"]

    return load_provider


@pytest.fixture
def provider_faults(configuration) -> Callable[..., list[tuple[str, str]]]:
    """Return the paths and messages of the faults of one provider `p`."""

    def load_provider(inside: str, environ: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
        text = f"providers: {{p: {{{inside}}}}}\nmodels: {{m: p/x}}\n"
        return [(fault.path, fault.message) for fault in configuration.faults(text, environ)]

    return load_provider
