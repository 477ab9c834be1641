"""A script says what tools gave: whole, or a part of it by its path."""

import pytest

from gateway.core.errors import UpstreamRefused
from gateway.providers.scripted.quoting import filled, quoted

RESULTS = {"desk__look": '{"pods": [{"name": "web-1", "restarts": 3}], "a/b": "slash"}', "desk__say": "plain"}


def test_a_part_of_a_result_is_found_by_its_path_in_texts_and_keeps_its_type_where_it_stands_alone():
    assert quoted("{result desk/look /pods/0/restarts}", RESULTS) == 3
    assert quoted({"x": ["{result desk__look /pods/0}"]}, RESULTS) == {"x": [{"name": "web-1", "restarts": 3}]}
    assert quoted("{result desk/look /pods/-1/name} has {result desk/look /pods/0/restarts}", RESULTS) == "web-1 has 3"
    assert quoted("{result desk/look /a~1b}, {result desk/say}", RESULTS) == "slash, plain"


def test_what_a_tool_or_a_user_says_is_not_read_as_a_placeholder():
    results = {"desk__say": "{input} {result desk/say}"}

    assert filled("{result desk/say}|{input}", results, {"{input}": "{result desk/say}"}) == (
        "{input} {result desk/say}|{result desk/say}"
    )


@pytest.mark.parametrize("text", ["{result desk/none}", "{result desk/look /pods/7}", "{result desk/say /x}"])
def test_what_there_is_not_is_refused_with_the_placeholder(text: str):
    with pytest.raises(UpstreamRefused, match="result desk"):
        quoted(text, RESULTS)
