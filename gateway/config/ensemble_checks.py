"""Rules between the settings of cascades and votes: targets enough, judges that are others, checks that can be made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.config.ensemble_settings import CascadeSettings, JudgeSettings, VoteSettings
from gateway.config.finding import Finding
from gateway.config.provider_settings import AnthropicSettings, OpenAIShapedSettings
from gateway.config.settings import Settings

if TYPE_CHECKING:
    from gateway.config.settings import ModelSettings

_SECTIONS = ("cascade", "vote")
Path = tuple[str | int, ...]


def cascade_findings(cascade: CascadeSettings) -> Iterator[Finding]:
    """Yield a check that nobody makes, and a judge whom nobody asks."""
    asked = "judge" in cascade.escalate_on
    if asked and cascade.judge is None:
        yield Finding(path=("escalate_on",), message="who judges is not said: add judge: {model: …}")
    if cascade.judge is not None and not asked:
        yield Finding(path=("judge",), message="this judge is never asked: add judge to escalate_on")
    for number, name in enumerate(cascade.last_resort):
        if name not in cascade.escalate_on:
            yield Finding(
                path=("last_resort", number), message=f"{name} is not in escalate_on, so that nothing fails it"
            )


def vote_findings(vote: VoteSettings) -> Iterator[Finding]:
    """Yield a decision that nobody makes, a judge whom nobody asks, and more answers than there are voters."""
    if vote.decide == "judge" and vote.judge is None:
        yield Finding(path=("decide",), message="who judges is not said: add judge: {model: …}")
    if vote.decide != "judge" and vote.judge is not None:
        yield Finding(path=("judge",), message="this judge is never asked: write decide: judge")
    if vote.quorum is not None and vote.targets is not None and vote.quorum > vote.targets:
        yield Finding(path=("quorum",), message=f"of {vote.targets} targets there are never so many answers")


def ensemble_findings(settings: Settings) -> Iterator[Finding]:
    """Yield models whose strategy cannot do what it says."""
    for name, model in settings.models.items():
        own = model.routing and model.routing.strategy
        strategy = own or settings.routing.strategy
        for section in _SECTIONS:
            if getattr(model.routing, section, None) is not None and strategy != section:
                path: Path = ("models", name, "routing", section)
                yield Finding(path=path, message=f"the strategy is {strategy or 'fallback'}: write strategy: {section}")
        if own in _SECTIONS and len(model.targets) == 1:
            message = f"a {own} needs two targets or more"
            yield Finding(path=("models", name, "targets"), needs=("routing",), message=message)
        elif strategy == "cascade":
            yield from _deaf_targets(name, model, settings)
        elif strategy == "vote":
            yield from _voters(name, model, settings)
    yield from _circles(settings)


def _deaf_targets(name: str, model: ModelSettings, settings: Settings) -> Iterator[Finding]:
    """Yield targets whose confidence is to be looked at and whose API never tells it. The last one is not checked."""
    _, cascade = _cascade_of(name, settings)
    if "low_confidence" not in cascade.escalate_on:
        return
    for number, target in enumerate(model.targets[:-1]):
        provider = settings.providers.get(target.provider)
        anthropic = isinstance(provider, AnthropicSettings)
        if anthropic or (isinstance(provider, OpenAIShapedSettings) and _speaks_only_messages(provider)):
            message = "this API tells no log probabilities, so that low_confidence could not be checked"
            yield Finding(path=("models", name, "targets", number), needs=("providers", "routing"), message=message)


def _speaks_only_messages(provider: OpenAIShapedSettings) -> bool:
    apis = getattr(provider, "spoken_apis", ("chat",))
    return "messages" in apis and not {"chat", "responses"} & set(apis)


def _voters(name: str, model: ModelSettings, settings: Settings) -> Iterator[Finding]:
    own = model.routing is not None and model.routing.vote is not None
    vote = (model.routing.vote if own and model.routing else settings.routing.vote) or VoteSettings()
    there = len(model.targets)
    where: Path = ("models", name, "routing", "vote") if own else ("routing", "vote")
    if vote.targets is not None and vote.targets > there:
        yield Finding(path=(*where, "targets"), message=f"the model '{name}' has only {there} targets")
    elif vote.quorum is not None and vote.quorum > min(there, vote.targets or 7):
        message = f"of the {min(there, vote.targets or 7)} targets of '{name}' there are never so many answers"
        yield Finding(path=(*where, "quorum"), message=message)


def _cascade_of(name: str, settings: Settings) -> tuple[Path, CascadeSettings]:
    routing = settings.models[name].routing
    if routing is not None and routing.cascade is not None:
        return ("models", name, "routing", "cascade"), routing.cascade
    return ("routing", "cascade"), settings.routing.cascade or CascadeSettings()


def _judge_of(name: str, settings: Settings) -> tuple[Path, JudgeSettings] | None:
    """Give the judge of a model that has one, and where that is written."""
    model = settings.models[name]
    routing = model.routing
    strategy = (routing and routing.strategy) or settings.routing.strategy
    if strategy not in _SECTIONS or len(model.targets) == 1:
        return None
    if strategy == "cascade":
        where, cascade = _cascade_of(name, settings)
        return None if cascade.judge is None else (where, cascade.judge)
    own = routing is not None and routing.vote is not None
    vote = (routing.vote if own and routing else settings.routing.vote) or VoteSettings()
    place: Path = ("models", name, "routing", "vote") if own else ("routing", "vote")
    return None if vote.judge is None else (place, vote.judge)


def _circles(settings: Settings) -> Iterator[Finding]:
    """Yield judges who, in the end, are asked about themselves."""
    judges = {name: found for name in settings.models if (found := _judge_of(name, settings)) is not None}
    for name, (where, judge) in judges.items():
        way = [name, judge.model]
        while way[-1] in judges and way[-1] not in way[:-1]:
            way.append(judges[way[-1]][1].model)
        if way[-1] == name:
            message = f"a judge must not lead back: {' -> '.join(way)}"
            yield Finding(path=(*where, "judge", "model"), message=message)
