"""What is known of the services: the file that lists them, and the state that is kept of them."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from mcp_servers.platform_ctl.cluster import Event, Revision
from mcp_servers.platform_ctl.settings import Name
from mcp_servers.platform_ctl.wanted import Wanted
from mcp_servers.serving import ConfigurationError

MOST_REVISIONS: Final = 10
MOST_EVENTS: Final = 200


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program. A relative `cwd` counts from the file's folder. One that runs for `ready_seconds` is ready."""

    namespace: Name
    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
    replicas: Annotated[int, Meta(ge=0, le=100)] = 1
    env: dict[str, str] = {}
    cwd: str = "."
    version: str = ""
    ready_seconds: Annotated[float, Meta(ge=0, le=300)] = 1.0
    stop_seconds: Annotated[float, Meta(ge=0, le=300)] = 5.0
    log_bytes: Annotated[int, Meta(ge=4096, le=1024**3)] = 4 * 1024 * 1024


class Services(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    services: Annotated[dict[Name, Service], Meta(min_length=1, max_length=200)]


class Step(msgspec.Struct):
    """A revision: the definition as it was."""

    number: int
    service: Service
    at: str

    @property
    def version(self) -> str:
        """What it is called: its own word, or one made from what it runs."""
        return self.service.version or digest(self.service)


class Instance(msgspec.Struct):
    """A process that runs, ran, or is to be started again. `born` is the system's tick of its start, which tells it from a later one of its number."""

    name: str
    template: tuple[int, int]
    pid: int = 0
    born: int = 0
    since: float = 0.0
    started_at: str = ""
    restarts: int = 0
    again_at: float = 0.0
    stopping_since: float = 0.0
    says: str = ""


class Kept(Wanted, kw_only=True):
    """What is kept of a service."""

    steps: list[Step]
    instances: list[Instance] = msgspec.field(default_factory=list)
    events: list[Event] = msgspec.field(default_factory=list)

    @property
    def step(self) -> Step:
        """Its revision."""
        return next(each for each in self.steps if each.number == self.revision)

    @property
    def history(self) -> list[Revision]:
        """What one can go back to, the newest first."""
        return [
            Revision(number=each.number, version=each.version, current=each.number == self.revision, at=each.at)
            for each in reversed(self.steps)
        ]

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, obj: str, says: str) -> None:
        """Keep an event; like ones are counted."""
        last = self.events[-1] if self.events else None
        if last is not None and (last.reason, last.object, last.says) == (reason, obj, says):
            self.events[-1] = msgspec.structs.replace(last, count=last.count + 1, at=clock_time())
            return
        self.events.append(Event(at=clock_time(), kind=kind, reason=reason, object=obj, says=says))
        del self.events[:-MOST_EVENTS]


class State(msgspec.Struct):
    """The whole, by the names of services."""

    services: dict[str, Kept]


def digest(service: Service) -> str:
    """Give a short name of what a service runs; how many of them is no part of it."""
    same = msgspec.structs.replace(service, replicas=0)
    return hashlib.sha256(msgspec.json.encode(same, order="deterministic")).hexdigest()[:8]


def load_state(path: Path) -> State:
    """Read what was kept. Raises ConfigurationError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return State(services={})
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{path}: this is no state of services: {error}"
        raise ConfigurationError(msg) from None


def save_state(path: Path, state: State) -> None:
    """Keep it; it is on the disk when this returns."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(state))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def renewed(state: State, services: Services) -> State:
    """Bring what was kept up to what the file says: other commands are a new revision, other services come and go."""
    kept: dict[str, Kept] = {}
    for name, service in services.services.items():
        known = state.services.get(name)
        if known is None or known.namespace != service.namespace:
            step = Step(1, service, clock_time())
            kept[name] = Kept(
                namespace=service.namespace, name=name, replicas=service.replicas, revision=1, steps=[step]
            )
            continue
        if digest(known.steps[-1].service) != digest(service):
            number = known.steps[-1].number + 1
            known.steps = [*known.steps, Step(number, service, clock_time())][-MOST_REVISIONS:]
            known.revision = number
            known.changed += 1
        kept[name] = known
    return State(services=kept)


def clock_time() -> str:
    """Now, as it is shown."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
