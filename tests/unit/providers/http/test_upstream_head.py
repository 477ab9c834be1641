"""The head of an upstream request, byte by byte, and what a base URL may be."""

import pytest

from gateway.core.errors import InvalidRequest
from gateway.providers.http.head import checked_headers, encode_head, parse_base_url
from gateway.providers.http.protocol import HttpRequest


@pytest.mark.parametrize(
    ("url", "authority", "prefix", "port"),
    [
        ("http://localhost", b"localhost", b"", 80),
        ("http://localhost:8000/v1/", b"localhost:8000", b"/v1", 8000),
        ("https://api.example.com/a/b", b"api.example.com", b"/a/b", 443),
        ("https://api.example.com:443", b"api.example.com", b"", 443),
        ("http://[::1]:8000/v1", b"[::1]:8000", b"/v1", 8000),
        ("https://bücher.example/v1", b"xn--bcher-kva.example", b"/v1", 443),
    ],
)
def test_a_base_url_gives_host_port_and_prefix(url, authority, prefix, port):
    origin = parse_base_url(url)

    assert (origin.authority, origin.prefix, origin.port) == (authority, prefix, port)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://host/",
        "http://",
        "http://user:secret@host/",
        "http://host/?a=1",
        "http://host/#a",
        "http://host/a b",
        "http://host/ä",
        "http://host:99999/",
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused(url):
    with pytest.raises(ValueError):  # noqa: PT011 - urlsplit has words of its own for a bad port
        parse_base_url(url)


def test_the_prefix_of_the_base_url_comes_before_the_path():
    request = HttpRequest(path=b"/chat?x=1", headers=((b"Authorization", b"Bearer k"),), body=b"{}")

    assert encode_head(parse_base_url("http://h:1/v1"), request) == (
        b"POST /v1/chat?x=1 HTTP/1.1\r\nhost: h:1\r\nAuthorization: Bearer k\r\n"
        b"accept-encoding: identity\r\ncontent-length: 2\r\n\r\n"
    )


def test_a_callers_accept_encoding_is_kept():
    headers = ((b"Accept-Encoding", b"gzip"),)
    request = HttpRequest(method=b"GET", path=b"/", headers=headers)

    assert encode_head(parse_base_url("http://h"), request).lower().count(b"accept-encoding") == 1
    assert checked_headers(request) == headers


def test_both_clients_send_the_same_headers():
    request = HttpRequest(path=b"/", headers=((b"a", b"1"),))

    assert checked_headers(request) == ((b"a", b"1"), (b"accept-encoding", b"identity"))


@pytest.mark.parametrize("name", [b"Host", b"CONNECTION", b"Content-length", b"transfer-encoding"])
def test_framing_headers_are_the_clients_own(name):
    with pytest.raises(InvalidRequest):
        encode_head(parse_base_url("http://h"), HttpRequest(path=b"/", headers=((name, b"1"),)))


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\r\n b", b"\x00", b"\x7f"])
def test_control_characters_in_a_value_are_refused(value):
    with pytest.raises(InvalidRequest):
        encode_head(parse_base_url("http://h"), HttpRequest(path=b"/", headers=((b"a", value),)))


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"\xc3\xa4"])
def test_a_name_that_is_no_token_is_refused(name):
    with pytest.raises(InvalidRequest):
        encode_head(parse_base_url("http://h"), HttpRequest(path=b"/", headers=((name, b"1"),)))
