"""An upload is read piece by piece, however it is cut, and refused when it is no form of ours."""

import pytest

from gateway.api.upload import MOST_PARTS, SPARE, read_form
from gateway.core.errors import BodyTooLarge, ClientLeft, InvalidRequest, MalformedBody, UnsupportedMediaType

KIND = b"multipart/form-data; boundary=xYzZy"
KNOWN = frozenset({"purpose"})
DATA = b"--xYzZ\r\n\r\n--xYzZy-\x00\xff\r\n"  # nearly a boundary, and bytes that are no text


def part(disposition, data):
    return b"--xYzZy\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + data + b"\r\n"


PURPOSE = part(b'form-data; name="purpose"', b"batch")
FILE = part(b'form-data; name="file"; filename="in.jsonl"', DATA)
END = b"--xYzZy--\r\n"


class Upload:
    """Sends pieces, and keeps what was written."""

    def __init__(self, *pieces, leaves=False):
        self._messages = [
            {"type": "http.request", "body": piece, "more_body": leaves or number < len(pieces) - 1}
            for number, piece in enumerate(pieces)
        ]
        if leaves:
            self._messages.append({"type": "http.disconnect"})
        self.written = b""

    async def receive(self):
        return self._messages.pop(0)

    async def write(self, data):
        self.written += data

    async def read(self, kind=KIND, most=1000):
        return await read_form(self.receive, kind, known=KNOWN, most=most, write=self.write)


async def test_a_form_is_the_same_wherever_it_is_cut():
    whole = PURPOSE + FILE + END
    for cut in range(1, len(whole)):
        upload = Upload(whole[:cut], whole[cut:])
        form = await upload.read()

        assert upload.written == DATA
        assert (form.texts, form.filename) == ({"purpose": "batch"}, "in.jsonl")


async def test_a_form_may_come_byte_by_byte_and_the_file_first():
    upload = Upload(*[bytes([byte]) for byte in FILE + PURPOSE + END])

    assert (await upload.read()).texts == {"purpose": "batch"}
    assert upload.written == DATA


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"../../etc/passwd", "passwd"),
        (b"C:\\\\x\\\\a.jsonl", "a.jsonl"),
        (b"a\x1bb", "a?b"),
        (b"", "file"),
        (b"n" * 300, "n" * 255),
    ],
)
async def test_a_filename_is_only_a_name(name, kept):
    upload = Upload(part(b'form-data; name="file"; filename="' + name + b'"', b"x") + END)

    assert (await upload.read()).filename == kept


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (PURPOSE + END, InvalidRequest, "`file` is missing"),
        (PURPOSE + FILE + FILE + END, InvalidRequest, "more than one file"),
        (PURPOSE + PURPOSE + FILE + END, InvalidRequest, "more than once"),
        (part(b'form-data; name="file"', b"x") + END, InvalidRequest, "filename"),
        (part(b'form-data; name="porpoise"', b"x") + END, InvalidRequest, "Known here: file, purpose"),
        (part(b"attachment", b"x") + END, InvalidRequest, "no field"),
        (part(b'form-data; name="purpose"', b"x" * 2000) + END, InvalidRequest, "longer"),
        (FILE * (MOST_PARTS + 1) + END, InvalidRequest, "parts|more than one"),
        (PURPOSE + FILE, MalformedBody, "ends before"),
        (PURPOSE + FILE[:-10], MalformedBody, "ends before"),
        (b"", MalformedBody, "ends before"),
        (b"{}", MalformedBody, "not well-formed"),
        (b"--xYzZy\r\nno colon here\r\n\r\n", MalformedBody, "not well-formed"),
        (b"--xYzZy\r\nA: " + b"x" * 100_000, (MalformedBody, BodyTooLarge), "."),
        (part(b'form-data; name="file"; filename="a"', b"x" * (SPARE + 1000)) + END, BodyTooLarge, "1000 bytes"),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(body, error, says):
    for step in (len(body) or 1, 7):
        pieces = [body[start : start + step] for start in range(0, len(body), step)] or [b""]
        with pytest.raises(error, match=says):
            await Upload(*pieces).read()


@pytest.mark.parametrize("kind", [None, b"", b"application/json", b"multipart/mixed; boundary=x", b"text/plain"])
async def test_only_forms_are_taken(kind):
    with pytest.raises(UnsupportedMediaType):
        await Upload(FILE + END).read(kind)


@pytest.mark.parametrize("kind", [b"multipart/form-data", b"multipart/form-data; boundary=" + b"x" * 1000])
async def test_a_form_needs_a_boundary(kind):
    with pytest.raises(MalformedBody):
        await Upload(FILE + END).read(kind)


async def test_a_client_that_leaves_is_not_waited_for():
    with pytest.raises(ClientLeft):
        await Upload(PURPOSE, FILE[:50], leaves=True).read()
