"""Rules between the settings of the strategies that look at the call: conditions that can be read, targets that there are."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Sequence

from gateway.config.choosing_settings import RuleSettings
from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.model_parts import Part, Path, parts_of
from gateway.config.routing_settings import RoutingSettings
from gateway.config.rule_names import RULE_NAMES
from gateway.config.settings import Settings
from gateway.core.expression import ExpressionError, read_condition

MOST_RULES = 100


def rule_findings(settings: Settings) -> Iterator[Finding]:
    """Yield rules that cannot be read, that name targets which there are not, that can never be reached, and missing ones."""
    if settings.routing.rules is not None:
        message = "write rules at the models: they name a model's targets"
        yield Finding(path=("routing", "rules"), message=message)
    for part in parts_of(settings):
        written = part.written("rules")
        if written is not None and part.strategy != "rules":
            message = f"the strategy is {part.strategy}, which knows no rules: write strategy: rules"
            yield Finding(path=written[0], needs=("routing",), message=message)
        elif written is None and part.strategy == "rules":
            message = "the strategy is rules, and there are none: write routing: {rules: [{when: …, use: […]}]}"
            where, _ = part.find("strategy") or (part.path, None)
            yield Finding(path=where, needs=("routing",), message=message)
        if written is not None:
            yield from _of_part(*written, part)


def zone_findings(routing: RoutingSettings) -> Iterator[Finding]:
    """Yield a time zone that there is not."""
    if routing.time_zone is None:
        return
    try:
        zoneinfo.ZoneInfo(routing.time_zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        message = f"this system knows no time zone {shown(routing.time_zone)} (they are named as Europe/Vienna)"
        yield Finding(path=("time_zone",), message=message)


def handling_findings(settings: Settings) -> Iterator[Finding]:
    """Yield models that go by complexity and whose targets all handle as much, thresholds that nothing goes by, and equal names."""
    for part in parts_of(settings):
        strategy = part.strategy
        written = [target.handles for target in part.targets]
        path = (*part.path, "targets")
        if strategy == "complexity" and len(written) > 1 and len(set(written)) == 1:
            message = "all targets handle calls as hard: write at the small ones how hard (handles: 0.25)"
            yield Finding(path=path, needs=("routing",), message=message)
        seen: set[str] = {f"{target.provider}/{target.model}" for target in part.targets}
        for number, target in enumerate(part.targets):
            if strategy != "complexity" and target.handles != 1:
                message = f"the strategy is {strategy}, which does not ask how hard a call is: write routing: {{strategy: complexity}}"
                yield Finding(path=(*path, number, "handles"), needs=("routing",), message=message)
            if target.name is not None and target.name in seen:
                yield Finding(path=(*path, number, "name"), message="another target of this model is called so")
            seen |= {target.name} if target.name is not None else set()


def _of_part(path: Path, rules: Sequence[RuleSettings], part: Part) -> Iterator[Finding]:
    if len(rules) > MOST_RULES:
        yield Finding(path=(*path, MOST_RULES), message=f"there may be {MOST_RULES} rules at most")
    known = {f"{target.provider}/{target.model}" for target in part.targets}
    known |= {target.name for target in part.targets if target.name is not None}
    always: int | None = None
    for number, rule in enumerate(rules):
        if always is not None:
            message = f"this is never reached: rule {always + 1} holds for every call"
            yield Finding(path=(*path, number), message=message)
        if not rule.when.strip():
            always = number if always is None else always
        elif fault := _fault_in(rule.when):
            yield Finding(path=(*path, number, "when"), message=f"character {fault.column}: {fault.message}")
        seen: set[str] = set()
        for at, use in enumerate(rule.use):
            if use not in known:
                message = f"no target of this model is called {shown(use)} (there are: {', '.join(sorted(known))})"
                yield Finding(path=(*path, number, "use", at), message=message)
            elif use in seen:
                yield Finding(path=(*path, number, "use", at), message=f"{shown(use)} is there already")
            seen.add(use)


def _fault_in(condition: str) -> ExpressionError | None:
    try:
        read_condition(condition, RULE_NAMES)
    except ExpressionError as error:
        return error
    return None
