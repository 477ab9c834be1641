"""A request that names a prompt is filled in by it, and says nothing else than what it and the template say. Promised by docs/prompts.md."""

import pytest

from gateway.config.prompt_settings import (
    PromptDefinition,
    PromptDocuments,
    PromptMessage,
    PromptTemplate,
    PromptVariable,
    PromptVersion,
)
from gateway.core.errors import BodyTooLarge, InvalidRequest, NotFound
from gateway.prompts.catalogue import Prompts

MOST = 100_000
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
FILE = {"type": "input_file", "file_id": "file_1"}
TEMPLATE = PromptTemplate(
    model="chat",
    temperature=0.5,
    instructions="Answer for {{company}}, in {{language}}.\n",
    messages=(
        PromptMessage(text="I am {{name}}.\n"),
        PromptMessage(role="assistant", text="Hello, {{name}}."),
        PromptMessage(text="{{more}}"),
    ),
    variables={
        "company": PromptVariable(description="Whose name it is."),
        "language": PromptVariable(default="English"),
        "name": PromptVariable(),
        "more": PromptVariable(required=False),
    },
)
PICTURES = PromptTemplate(
    messages=(PromptMessage(text="Look: {{photo}} and {{text}}{{paper}}"),),
    variables={
        "photo": PromptVariable(type="image"),
        "paper": PromptVariable(type="file", required=False),
        "text": PromptVariable(default="read"),
    },
)
GIVEN = {"company": "Acme", "name": "Ada"}


def prompts(**templates: PromptTemplate) -> Prompts:
    """The templates by names such as greet_1, each a version of its prompt; the last is the current one."""
    found: dict[str, PromptDefinition] = {}
    for name, template in templates.items():
        of, _, version = name.partition("_")
        before = found[of].versions if of in found else {}
        made = PromptVersion(id=of, version=version, template=template, digest="")
        found[of] = PromptDefinition(id=of, current=version, versions={**before, version: made})
    return Prompts(PromptDocuments(folder="here", prompts=found))


def fill(template=TEMPLATE, variables=None, most=MOST, **fields):
    made = prompts(greet_1=template).fill({"prompt": {"id": "greet", "variables": variables}, **fields}, most=most)
    assert made is not None
    return made.fields


def refused(template, variables):
    with pytest.raises(InvalidRequest) as caught:
        fill(template, variables)
    return caught.value.status, caught.value.param, caught.value.message


def test_a_request_has_the_prompts_words_before_its_own():
    assert fill(variables=GIVEN, input="And now?", metadata={"a": "b"}) == {
        "model": "chat",
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "instructions": "Answer for Acme, in English.",
        "input": [
            {"role": "user", "content": "I am Ada."},
            {"role": "assistant", "content": "Hello, Ada."},
            {"role": "user", "content": "And now?"},
        ],
    }


@pytest.mark.parametrize("given", [None, ""])
def test_a_prompt_may_be_all_that_is_said(given):
    assert len(fill(variables=GIVEN, input=given)["input"]) == 2


def test_items_come_after_the_prompts_messages():
    item = {"type": "function_call_output", "call_id": "c", "output": "x"}

    assert fill(variables=GIVEN, input=[item])["input"][2:] == [item]


def test_what_is_no_input_stays_to_be_refused():
    assert fill(variables=GIVEN, input=5)["input"] == 5


def test_what_a_request_says_itself_goes_before():
    fields = fill(variables=GIVEN, model="other", temperature=0, instructions="Mine.")

    assert (fields["model"], fields["temperature"], fields["instructions"]) == ("other", 0, "Mine.")
    assert fill(variables=GIVEN, instructions="")["instructions"] == ""


def test_a_value_is_never_read_as_a_template():
    fields = fill(variables={"company": "{{name}}", "name": "{{company}} {{", "more": "{{more}}"})

    assert fields["instructions"] == "Answer for {{name}}, in English."
    assert [message["content"] for message in fields["input"]] == [
        "I am {{company}} {{.",
        "Hello, {{company}} {{.",
        "{{more}}",
    ]


def test_what_came_in_is_not_changed():
    asked = {"prompt": {"id": "greet", "variables": dict(GIVEN)}, "input": [{"role": "user", "content": "x"}]}
    prompts(greet_1=TEMPLATE).fill(asked, most=MOST)

    assert asked == {"prompt": {"id": "greet", "variables": GIVEN}, "input": [{"role": "user", "content": "x"}]}


def test_a_text_may_come_as_a_part():
    assert fill(variables={**GIVEN, "name": {"type": "input_text", "text": "Bo"}})["input"][0]["content"] == "I am Bo."


def test_images_and_files_stand_where_their_names_do():
    assert fill(PICTURES, {"photo": IMAGE, "paper": FILE})["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look: "},
                IMAGE,
                {"type": "input_text", "text": " and read"},
                FILE,
            ],
        }
    ]


def test_an_image_that_is_left_out_leaves_plain_text():
    photo = PromptVariable(type="image", required=False)
    template = PromptTemplate(messages=(PromptMessage(text="a {{photo}}b"),), variables={"photo": photo})

    assert fill(template)["input"] == [{"role": "user", "content": "a b"}]


@pytest.mark.parametrize(
    ("template", "variables", "name", "message"),
    [
        (TEMPLATE, {"name": "Ada"}, "company", "is required by this prompt: Whose name it is."),
        (TEMPLATE, None, "company", "is required by this prompt"),
        (TEMPLATE, {**GIVEN, "name": None}, "name", "is required by this prompt."),
        (TEMPLATE, {**GIVEN, "nmae": "x"}, "nmae", "is no variable of this prompt. Did you mean 'name'?"),
        (TEMPLATE, {**GIVEN, "q": "x"}, "q", "It takes company, language, name, more."),
        (TEMPLATE, {**GIVEN, "name": 5}, "name", "must be a text"),
        (TEMPLATE, {**GIVEN, "name": IMAGE}, "name", "must be a text"),
        (TEMPLATE, {**GIVEN, "name": {"type": "input_text"}}, "name", "must be a text"),
        (TEMPLATE, {**GIVEN, "name": ["x"]}, "name", "must be a text"),
        (PICTURES, {"photo": "x"}, "photo", "must be an object of type input_image"),
        (PICTURES, {"photo": FILE}, "photo", "must be an object of type input_image"),
        (PICTURES, {"photo": {**IMAGE, "image_url": 5}}, "photo.image_url", "must be a string"),
    ],
)
def test_a_variable_at_fault_is_named(template, variables, name, message):
    status, param, said = refused(template, variables)

    assert (status, param) == (400, f"prompt.variables.{name}")
    assert message in said


@pytest.mark.parametrize(
    ("prompt", "status", "param"),
    [
        ({"id": "greet", "version": "2"}, 404, "prompt.version"),
        ({"id": "greet", "version": 1}, 400, "prompt.version"),
        ({"id": "greet", "variables": []}, 400, "prompt.variables"),
        ({"id": "greet", "vars": {}}, 400, "prompt.vars"),
    ],
)
def test_a_reference_at_fault_is_refused(prompt, status, param):
    with pytest.raises(InvalidRequest) as caught:
        prompts(greet_1=TEMPLATE).fill({"prompt": prompt}, most=MOST)

    assert (caught.value.status, caught.value.param) == (status, param)
    assert isinstance(caught.value, NotFound) == (status == 404)


@pytest.mark.parametrize("prompt", [None, "greet", {}, {"id": "other"}, {"id": 5}, {"id": ["greet"]}, 5])
def test_a_prompt_that_is_none_of_these_is_left_to_others(prompt):
    assert prompts(greet_1=TEMPLATE).fill({"prompt": prompt}, most=MOST) is None
    assert Prompts().fill({"prompt": {"id": "greet"}}, most=MOST) is None


def test_the_version_that_is_named_is_served_and_the_current_one_else():
    both = prompts(greet_1=PromptTemplate(instructions="old"), greet_2=PromptTemplate(instructions="new"))

    def served(**more):
        made = both.fill({"prompt": {"id": "greet", **more}}, most=MOST)
        return made.fields["instructions"], made.use.name, made.use.echo

    assert served() == ("new", "greet@2", {"id": "greet", "version": "2", "variables": None})
    assert served(version=None)[0] == "new"
    assert served(version="1", variables={}) == ("old", "greet@1", {"id": "greet", "version": "1", "variables": {}})


def test_a_short_template_cannot_make_a_request_of_any_size():
    template = PromptTemplate(instructions="{{a}}" * 1000, variables={"a": PromptVariable()})

    with pytest.raises(BodyTooLarge, match="larger than the limit of 5000 bytes"):
        fill(template, {"a": "x" * 6}, most=5000)
    assert len(fill(template, {"a": "x" * 5}, most=5000)["instructions"]) == 5000
