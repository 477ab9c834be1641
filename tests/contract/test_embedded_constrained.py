"""What the gateway's grammar compiler takes, the engine's own takes too: it would generate unconstrained without an error."""

import json
import re
import subprocess
import tempfile

import jsonschema
import openai
import pytest
from referencing import Registry

from benchmarks.constrained_schemas import SCHEMAS
from gateway.providers.embedded.launch import chat_command, chat_model

pytestmark = pytest.mark.embedded

REFUSED = {"remote reference", "nothing"}
# Short answers: the sample is broad, not long.
QUICK = (
    "cents", "enum", "pattern", "date-time", "duration", "ipv6", "uri", "tuple", "contains", "map of integers", "oneOf by kind", "if then",
    "not a member", "recursion", "draft 7", "unique items",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine():
    command = chat_command(chat_model(None, cores=2, slots=1, context=1024))
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as child,
    ):
        child.stdin.write(f"{command.first_line}\n")
        child.stdin.flush()
        port = child.stdout.readline().split()[1]
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=command.first_line, max_retries=0) as client:
            yield client
        child.stdin.close()
        child.wait(timeout=10)
        log.seek(0)
        # Whatever the tests below asked for: what the engine could not compile, it would have said, and ignored.
        assert "llg error" not in log.read()


def asked(client, schema, tokens):
    return client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "One short example."}],
        max_tokens=tokens,
        seed=3,
        extra_body={"structured_outputs": {"json": schema}},
    )


def test_the_engine_compiles_every_kind_of_schema_that_is_not_refused(engine):
    refused = set()
    for name, schema in SCHEMAS.items():
        try:
            asked(engine, schema, 1)
        except openai.BadRequestError:
            refused.add(name)
        except openai.UnprocessableEntityError:
            pytest.fail(f"{name} was not constrained")

    assert refused == REFUSED


@pytest.mark.parametrize("name", QUICK)
def test_an_answer_is_valid_for_jsonschema_or_an_error_that_says_so(engine, name):
    schema = SCHEMAS[name]
    try:
        choice = asked(engine, schema, 120).choices[0]
    except openai.UnprocessableEntityError:
        return
    if choice.finish_reason == "stop":
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        judge = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)

        assert judge.is_valid(json.loads(choice.message.content))


@pytest.mark.parametrize(
    ("wanted", "pattern"),
    [
        ({"regex": "[a-c]{3}-[0-9]{2}"}, r"[a-c]{3}-[0-9]{2}"),
        ({"choice": ["north", "south"]}, "north|south"),
        ({"grammar": 'start: "<" WORD ">"\nWORD: /[a-z]{1,5}/'}, "<[a-z]{1,5}>"),
        ({"grammar": 'root ::= "<" [a-z] [a-z] ">"'}, "<[a-z]{2}>"),
    ],
)
def test_other_forms_are_enforced_by_the_engine(engine, wanted, pattern):

    answer = engine.completions.create(
        model="m", prompt="Say", max_tokens=30, extra_body={"structured_outputs": wanted}
    )

    assert answer.choices[0].finish_reason == "stop"
    assert re.fullmatch(pattern, answer.choices[0].text)
