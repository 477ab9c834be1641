"""How much a model takes in all: what its largest target takes, or whoever helps out where a prompt is too long."""

import pytest

from gateway.app import Application
from gateway.config import load
from gateway.loading import Loader


def target(context):
    known = "" if context is None else f", abilities: {{context: {context}}}"
    return f"{{provider: s, model: m{context}{known}}}"


@pytest.mark.parametrize(
    ("contexts", "long", "takes"),
    [([100], None, 100), ([100, 300], None, 300), ([100, None], None, None), ([100], 900, 900), ([None], 900, None)],
)
def test_a_route_knows_what_fits(tmp_path, contexts, long, takes):
    names = sorted({f"m{each}" for each in (*contexts, long, 5)})
    (tmp_path / "script.yaml").write_text(
        "models:\n" + "".join(f"  {name}: {{answers: [{{say: x}}]}}\n" for name in names)
    )
    helps = "" if long is None else ", routing: {fallbacks: {context: [long]}}"
    config = tmp_path / "c.yaml"
    config.write_text(
        "providers: {s: {kind: scripted, document: script.yaml}}\n"
        f"models:\n  small: {{targets: [{', '.join(map(target, contexts))}]{helps}}}\n"
        f"  long: {{targets: [{target(long or 5)}]}}\n"
    )
    application = Application(load(config, {}), Loader(config, dict), config_path=config)

    assert application.live.current().routes["small"].context == takes
