"""Whatever an argument holds, it stays in its place of the request."""

import pytest

from gateway.tools.openapi.document import OpenApiDocument
from gateway.tools.openapi.operations import read_operation
from gateway.tools.openapi.request import Unsendable, write_request
from tests.unit.tools.openapi.pets import PETS

DOCUMENT = OpenApiDocument(PETS)


def request(name, **arguments):
    return write_request(read_operation(DOCUMENT, DOCUMENT.operations().found[name]), arguments)


@pytest.mark.parametrize(
    ("pet", "target"),
    [
        ("7", "/pets/7"),
        ("a/../../admin", "/pets/a%2F..%2F..%2Fadmin"),
        ("a?x=1#y", "/pets/a%3Fx%3D1%23y"),
        ("ü%2e", "/pets/%C3%BC%252e"),
        (True, "/pets/true"),
    ],
)
def test_an_argument_does_not_leave_its_segment_of_the_path(pet, target):
    assert request("getPet", pet=pet).target == target


@pytest.mark.parametrize("pet", ["..", ".", "", {"a": 1}, [["a"]]])
def test_a_segment_that_would_mean_another_path_is_refused(pet):
    with pytest.raises(Unsendable, match="pet"):
        request("getPet", pet=pet)


def test_lists_and_objects_are_written_as_the_document_says():
    sent = request("get_pets", tag=["a&b", "c"], ids=[1, 2], where={"k=": "v&"})

    assert sent.target == "/pets?tag=a%26b&tag=c&ids=1,2&where[k%3D]=v%26"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\x00", "ü"])
def test_an_argument_does_not_add_a_header(value):
    with pytest.raises(Unsendable, match="X-Reason"):
        request("get_pets", **{"X-Reason": value})


def test_bodies_are_sent_in_the_form_that_is_taken():
    assert request("replacePet", pet="1", body={"name": "Rex"}).body == b'{"name":"Rex"}'
    assert request("addPet", body={"a b": "&", "c": [1, True]}).body == b"a%20b=%26&c=1&c=true"
    with pytest.raises(Unsendable):
        request("addPet", body={"a": {"b": 1}})


def test_a_url_without_end_is_refused():
    with pytest.raises(Unsendable, match="URL"):
        request("getPet", pet="x" * 20_000)
