"""The embedded sentence-embedding model behind its child's HTTP front, as the official client sees it."""

import math
import subprocess

import anyio
import httpx2
import openai
import pytest

from gateway.providers.embedded.launch import embedding_command

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def engine():
    command = embedding_command()
    with subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdin.write(f"{command.first_line}\n")
        child.stdin.flush()
        port = child.stdout.readline().split()[1]
        yield f"http://127.0.0.1:{port}", command.first_line
        child.stdin.close()
        assert child.wait(timeout=10) == 0


@pytest.fixture
async def client(engine):
    base, token = engine
    async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=token, max_retries=0, timeout=60) as client:
        yield client


def embed(client, texts, **fields):
    return client.embeddings.create(model="all-minilm-l6-v2", input=texts, **fields)


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_meaning_is_near_and_length_is_one(client):
    texts = ["A man is eating food.", "Someone eats a meal.", "The stock market fell."]
    answer = await embed(client, texts, encoding_format="float")
    meal, same, other = (item.embedding for item in answer.data)

    assert len(meal) == 384
    assert math.isclose(cosine(meal, meal), 1, abs_tol=1e-5)
    assert cosine(meal, same) > 0.6
    assert cosine(meal, other) < 0.3


async def test_tokens_are_counted_exactly(client):
    # 101, 7592, 2088, 102: what the reference tokenizer gives for it.
    answer = await embed(client, "Hello world")

    assert answer.usage.prompt_tokens == 4


async def test_base64_and_floats_are_the_same_vector(client):
    # The official client asks for base64 when nothing else is said.
    packed = (await embed(client, "one text")).data[0].embedding
    floats = (await embed(client, "one text", encoding_format="float")).data[0].embedding

    assert packed == pytest.approx(floats, abs=1e-6)


async def test_a_vector_does_not_depend_on_its_neighbours(client):
    alone = (await embed(client, "short", encoding_format="float")).data[0].embedding
    texts = ["short", *(f"a much longer text with the number {n} in it" for n in range(40))]
    among = (await embed(client, texts, encoding_format="float")).data[0].embedding

    assert cosine(alone, among) > 0.9999


async def test_a_text_that_is_too_long_is_an_error_that_names_it(client):
    with pytest.raises(openai.BadRequestError) as caught:
        await embed(client, ["fine", "word " * 300])

    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "input[1]"
    assert "302 tokens" in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": [""]}, "input[0]"),
        ({"input": [[1, 2]]}, "input[0]"),
        ({"input": "x", "dimensions": 128}, "dimensions"),
        ({"input": "x", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "x", "extra_body": {"truncate": True}}, "truncate"),
    ],
)
async def test_what_it_cannot_do_is_refused_by_name(client, fields, param):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(model="m", **fields)

    assert caught.value.param == param


async def test_one_text_does_not_wait_for_a_thousand(client, engine):
    ended = []
    base, token = engine

    async def timed(name, texts):
        await embed(client, texts)
        ended.append(name)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(timed, "many", [f"text number {n}" for n in range(600)])
            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
                while not (await http.get(f"{base}/health")).json()["waiting"]:
                    await anyio.sleep(0.01)
            tasks.start_soon(timed, "one", ["a single text"])

    assert ended == ["one", "many"]


async def test_its_own_dimensions_may_be_asked_for(client):
    answer = await embed(client, "x", dimensions=384)

    assert len(answer.data[0].embedding) == 384
