"""What constrained decoding costs on the embedded model, and what becomes of many different schemas.

    .venv/bin/python -m benchmarks.constrained               time a token: free text, then constrained, in turns
    .venv/bin/python -m benchmarks.constrained --schemas     one answer for each schema of a sample, judged by `jsonschema`

It starts the embedded chat model's own child and talks to it over loopback, one request at a time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import openai
from referencing import Registry

from benchmarks.constrained_schemas import SCHEMAS
from gateway.providers.embedded.launch import chat_command, chat_model

STORY = [{"role": "user", "content": "Write a long story about a lighthouse and its keeper."}]
TOKENS = 160
PEOPLE = {
    "type": "array",
    "minItems": 20,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3, "maxLength": 30},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "email": {"type": "string", "format": "email"},
            "role": {"enum": ["keeper", "sailor", "visitor"]},
        },
        "required": ["name", "age", "email", "role"],
        "additionalProperties": False,
    },
}
CONSTRAINTS: dict[str, dict[str, Any]] = {
    "free text": {},
    "JSON schema": {"structured_outputs": {"json": PEOPLE}},
    "regex": {"structured_outputs": {"regex": r"([A-Z][a-z]{2,9}( [a-z]{2,9}){4,9}\. ){30}"}},
    "grammar": {
        "structured_outputs": {"grammar": 'start: line+\nline: "* " WORD (" " WORD){3,8} "\\n"\nWORD: /[a-z]{2,9}/\n'}
    },
}


@contextmanager
def client(threads: int) -> Iterator[openai.OpenAI]:
    """Start the model, and give a client of it."""
    command = chat_command(chat_model(None, cores=threads + 1, slots=1, context=2048))
    with subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout  # noqa: PT018 they were asked for
        child.stdin.write(f"{command.first_line}\n")
        child.stdin.flush()
        port = child.stdout.readline().split()[1]
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=command.first_line, max_retries=0) as asking:
            yield asking
        child.stdin.close()


def milliseconds_a_token(asking: openai.OpenAI, constraint: dict[str, Any], seed: int) -> float:
    """Ask for a long answer, and give the time between its tokens. The first token, with prompt and grammar, is left out."""
    began = 0.0
    tokens = 0
    stream = asking.chat.completions.create(
        model="m",
        messages=STORY,  # type: ignore[arg-type]  # plain dictionaries
        max_tokens=TOKENS,
        seed=seed,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=constraint,
    )
    for chunk in stream:
        if chunk.usage is not None:
            tokens = chunk.usage.completion_tokens
        elif chunk.choices and chunk.choices[0].delta.content and not began:
            began = time.perf_counter()
    return 1000 * (time.perf_counter() - began) / (tokens - 1)


def compare(asking: openai.OpenAI, rounds: int) -> None:
    """Print milliseconds a token of each kind, the least of rounds in turns (what else the machine does only adds), and how much more that is."""
    times: dict[str, list[float]] = {name: [] for name in CONSTRAINTS}
    for seed in range(rounds + 1):
        for name, constraint in CONSTRAINTS.items():
            taken = milliseconds_a_token(asking, constraint, seed)
            # The first round warms caches and the processor.
            if seed:
                times[name].append(taken)
    print("| answer | ms a token | against free text |\n|---|---|---|")
    for name, values in times.items():
        ratio = min(values) / min(times["free text"])
        print(f"| {name} | {min(values):.2f} | {100 * (ratio - 1):+.1f} % |")


def outcome(asking: openai.OpenAI, schema: dict[str, Any]) -> str:
    """Give what became of one schema: valid, incomplete, an error's code, or INVALID."""
    try:
        answer = asking.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Answer with one short example as JSON."}],
            max_tokens=400,
            seed=1,
            extra_body={"structured_outputs": {"json": schema}},
        )
    except openai.APIStatusError as error:
        return f"{error.status_code} {error.code}"
    choice = answer.choices[0]
    if choice.finish_reason != "stop":
        return f"incomplete ({choice.finish_reason})"
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    judge = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
    valid = judge.is_valid(json.loads(choice.message.content or ""))
    return "valid" if valid else f"INVALID {choice.message.content}"


def main() -> None:
    """Measure, or generate."""
    arguments = argparse.ArgumentParser(prog="constrained", description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--schemas", action="store_true", help="generate for a sample of schemas instead")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    with client(options.threads) as asking:
        if not options.schemas:
            compare(asking, options.rounds)
            return
        for name, schema in SCHEMAS.items():
            print(f"{name}: {outcome(asking, schema)}", flush=True)


if __name__ == "__main__":
    main()
