"""A double of Qdrant's REST API, as a process of its own that can be stopped: the requests of qdrant-client, the answers of Qdrant 1.x.

No server is to be had where these tests run. It keeps vectors in memory and compares all of them; `POST /double?mode=` changes how it
answers: ok, unfiltered (as if searches
had no filter), error (500), garbage (200 and no JSON), odd (JSON of another shape), hang.
"""

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COLLECTIONS: dict[str, dict] = {}
MODE = {"mode": "ok"}
LOCK = threading.Lock()
NEVER = threading.Event()


def matches(payload: dict, condition: dict) -> bool:
    value = payload.get(condition["key"])
    if "match" in condition:
        return value == condition["match"]["value"]
    return value < condition["range"]["lt"]


def chosen(points: dict, within: dict | None) -> dict:
    must = (within or {}).get("must", [])
    must = must if isinstance(must, list) else [must]
    return {key: point for key, point in points.items() if all(matches(point["payload"], one) for one in must)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None: ...

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def told(self, result: object) -> None:
        self.answer(200, json.dumps({"result": result, "status": "ok", "time": 0.0001}).encode())

    def missing(self, name: str) -> None:
        said = {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}, "time": 0.0001}
        self.answer(404, json.dumps(said).encode())

    def handle_any(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if address.path == "/double":
            MODE["mode"] = parse_qs(address.query)["mode"][0]
            self.told(True)
            return
        mode = MODE["mode"]
        if mode == "hang":
            NEVER.wait()
        if mode == "error":
            self.answer(500, b'{"status":{"error":"Service internal error"},"time":0.0}')
        elif mode == "garbage":
            self.answer(200, b"<html>hello</html>")
        elif mode == "odd":
            self.told({"points": [{"id": 1, "version": 0, "score": 0.9, "payload": None}]})
        else:
            with LOCK:
                self.serve(address.path.strip("/").split("/"), json.loads(body) if body else {})

    do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the library's names

    def serve(self, path: list[str], body: dict) -> None:
        if path == ["collections"]:
            self.told({"collections": [{"name": name} for name in COLLECTIONS]})
            return
        name, rest = path[1], path[2:]
        if rest == ["exists"]:
            self.told({"exists": name in COLLECTIONS})
        elif not rest and self.command == "PUT":
            COLLECTIONS[name] = {}
            self.told(True)
        elif name not in COLLECTIONS:
            self.missing(name)
        elif rest == ["points", "query"]:
            self.told({"points": self.nearest(COLLECTIONS[name], body)})
        else:
            self.write(COLLECTIONS[name], rest, body)
            self.told({"operation_id": 1, "status": "acknowledged"})

    def write(self, points: dict, rest: list[str], body: dict) -> None:
        if rest == ["points"]:
            points.update({point["id"]: point for point in body["points"]})
        elif rest == ["points", "delete"]:
            gone = body.get("points") or list(chosen(points, body.get("filter")))
            for key in gone:
                points.pop(key, None)

    def nearest(self, points: dict, body: dict) -> list[dict]:
        asked = body["query"]
        asked = asked.get("nearest") if isinstance(asked, dict) else asked
        found = [
            {
                "id": key,
                "version": 0,
                "score": sum(a * b for a, b in zip(asked, point["vector"], strict=True)),
                "payload": point["payload"],
            }
            for key, point in chosen(points, None if MODE["mode"] == "unfiltered" else body.get("filter")).items()
        ]
        return sorted(found, key=lambda one: -one["score"])[: body["limit"]]


class Double:
    """The process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._port = port

    async def answer(self, mode: str) -> None:
        """Change how it answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(
            f"POST /double?mode={mode} HTTP/1.1\r\nHost: double\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        await reader.read()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def qdrant_double() -> AsyncIterator[Double]:
    """Run one on a free port."""
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Double(process, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)  # noqa: T201 - who started it reads this
    server.serve_forever()
