"""Takes the addresses to listen on before anything slow is started, so that a taken port is one clear line at once."""

import errno
import os
import socket

import anyio

from gateway.server.options import ServerStartError

ACCEPTS_A_TURN = 8
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def bind(host: str, port: int) -> list[socket.socket]:
    """Bound sockets, not yet listening, one an address of `host` and all on one port (port 0: a free one).

    Raises ServerStartError. An address family that this machine lacks is skipped while another address works.
    """
    if not 0 <= port <= 65535:
        raise ServerStartError(f"cannot listen on port {port}: it must be between 0 and 65535")
    bound: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in await _addresses(host, port):
        real = (address[0], port, *address[2:])
        try:
            sock = _bind_one(family, real)
        except OSError as exc:
            if exc.errno in _NOT_HERE:
                missing = exc
                continue
            close(bound)
            raise start_error(host, port, exc) from exc
        bound.append(sock)
        port = sock.getsockname()[1]
    if not bound and missing is not None:
        raise start_error(host, port, missing) from missing
    return bound


def close(sockets: list[socket.socket]) -> None:
    """Close every socket; harmless when they are closed."""
    for sock in sockets:
        sock.close()


def shared_out(sockets: list[socket.socket]) -> list[socket.socket]:
    """Give each socket several times, as duplicates that are added to `sockets` for whoever closes them.

    The event loop (libuv) accepts one connection a turn and listener: in a burst of connections each would wait for a whole
    turn, with all the work that is done in it.
    """
    sockets += [sock.dup() for sock in sockets for _ in range(ACCEPTS_A_TURN - 1)]
    return sockets


def start_error(host: str, port: int, exc: OSError) -> ServerStartError:
    """The operator's line for an error of bind or listen."""
    where = f"{host}:{port}"
    if exc.errno == errno.EADDRINUSE:
        return ServerStartError(f"cannot listen on {where}: the port is already in use; choose another with --port")
    if exc.errno in (errno.EACCES, errno.EPERM):
        return ServerStartError(f"cannot listen on {where}: permission denied; ports below 1024 need a privilege")
    if exc.errno in _NOT_HERE:
        return ServerStartError(f"cannot listen on {where}: this machine has no such address")
    return ServerStartError(f"cannot listen on {where}: {os.strerror(exc.errno) if exc.errno else exc}")


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[str | int, ...]]]:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise ServerStartError(f"cannot listen on {host!r}: the name does not resolve ({exc})") from exc
    return list(dict.fromkeys((int(family), tuple(address)) for family, _, _, _, address in found))


def _bind_one(family: int, address: tuple[str | int, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return sock
