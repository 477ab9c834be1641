"""What the edge can be told, and the error that says why it could not start. Who reads the settings is not known here."""

from collections.abc import Collection, Mapping

import msgspec


class ServerStartError(Exception):
    """The server cannot listen, or the application's lifespan failed; the message is one line for the operator."""


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen and what a client may cost; times are seconds, sizes are bytes.

    `port` 0 takes a free one. `header_timeout` runs from a request's first byte (on a new connection: from its opening)
    to the end of its header, `body_timeout` from there to the end of its body, `idle_timeout` between requests and also
    while a client takes nothing of what we write. `header_bytes` counts names and values, `target_bytes` the request
    target. `large_bodies` are the paths whose bodies may be larger than `body_bytes`, because they are not kept in memory, and how
    large. `sockets` are the paths that take WebSockets, `most_sockets` of them at once; `ping_interval` is how often their clients are asked
    whether they live, and how long they have to say so. `drain_timeout` is how long requests in flight may go on after the first signal.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    header_bytes: int = 65536
    header_count: int = 128
    target_bytes: int = 16384
    header_timeout: float = 10.0
    body_timeout: float = 60.0
    large_bodies: Mapping[bytes, int] = {}
    body_bytes: int = 32 * 1024 * 1024
    idle_timeout: float = 75.0
    sockets: Collection[bytes] = ()
    most_sockets: int = 1024
    ping_interval: float = 30.0
    connections: int = 4096
    pipelined: int = 16
    backlog: int = 2048
    drain_timeout: float = 30.0
