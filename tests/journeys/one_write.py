"""A client that sends head and body of a request in one write on one connection, as many do, and httpx does not: one read of the server's."""

import anyio
import httpx2

PATIENCE = 20


class OneWrite(httpx2.AsyncBaseTransport):
    """Give it to an httpx client in place of its own transport. Requests go one after the other; answers are read whole."""

    def __init__(self):
        self._stream = None
        self._read = b""

    async def handle_async_request(self, request):
        if self._stream is None:
            self._stream = await anyio.connect_tcp(request.url.host, request.url.port)
        lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        lines += [b"%b: %b" % header for header in request.headers.raw]
        body = await request.aread()
        with anyio.fail_after(PATIENCE):
            await self._stream.send(b"\r\n".join([*lines, b"", body]))
            status, *headers = (await self._until(b"\r\n\r\n")).split(b"\r\n")
            headers = [tuple(line.split(b": ", 1)) for line in headers]
            content = await self._body({name.lower(): value for name, value in headers})
        # What is read is not to be decoded from chunks once more.
        headers = [header for header in headers if header[0] != b"transfer-encoding"]
        return httpx2.Response(int(status.split()[1]), headers=headers, content=content)

    async def _body(self, headers):
        if headers.get(b"transfer-encoding") != b"chunked":
            return await self._exactly(int(headers.get(b"content-length", 0)))
        content = b""
        while size := int(await self._until(b"\r\n"), 16):
            content += await self._exactly(size)
            await self._until(b"\r\n")
        await self._until(b"\r\n")
        return content

    async def _until(self, mark):
        while mark not in self._read:
            self._read += await self._stream.receive()
        found, _, self._read = self._read.partition(mark)
        return found

    async def _exactly(self, count):
        while len(self._read) < count:
            self._read += await self._stream.receive()
        found, self._read = self._read[:count], self._read[count:]
        return found

    async def aclose(self):
        if self._stream is not None:
            await self._stream.aclose()
