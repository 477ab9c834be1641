"""What a batch used is what its answers say, whichever API they are of."""

import json

import pytest

from gateway.batches.usage import used
from gateway.stores.batches import BatchUsage

CHAT = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 2}}
RESPONSES = {"input_tokens": 5, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}}
EMBEDDINGS = {"prompt_tokens": 5, "total_tokens": 5}


@pytest.mark.parametrize(
    ("usages", "total"),
    [
        ([CHAT, CHAT], BatchUsage(input_tokens=10, cached_tokens=4, output_tokens=14)),
        ([RESPONSES], BatchUsage(input_tokens=5, output_tokens=7, reasoning_tokens=3)),
        ([EMBEDDINGS], BatchUsage(input_tokens=5)),
        ([None, {"input_tokens": "many"}, CHAT], BatchUsage(input_tokens=5, cached_tokens=2, output_tokens=7)),
        ([], BatchUsage()),
    ],
)
def test_usage_is_added_up(tmp_path, usages, total):
    path = tmp_path / "output"
    path.write_text(
        "".join(json.dumps({"custom_id": "1", "response": {"body": {"usage": one}}}) + "\n" for one in usages)
    )

    assert used(path) == total
