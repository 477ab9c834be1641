"""`switchgear prompts`: the prompt templates of a configuration, and what becomes of one. No server is asked, and none is needed."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from gateway.agent_source import AgentSource
from gateway.cli.admin_output import print_json, print_object, print_table
from gateway.cli.faults import fail
from gateway.cli.options import config_option
from gateway.config import ConfigError, peek, read_environment
from gateway.config.prompt_settings import PromptDefinition, VariableKind
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import SwitchgearError
from gateway.policy_source import PolicySource
from gateway.prompt_source import PromptSource
from gateway.prompts.catalogue import Prompts
from gateway.prompts.listing import shown, shown_whole

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
version_option = click.option("--version", "version", help="The version; without it, the one that is served.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List and show the prompt templates of a configuration, and render one."""


@command.command("list")
@config_option
@json_option
def list_(config: Path, *, as_json: bool) -> None:
    """List the prompts: which version is served where none is named, which others there are, what it takes."""
    found = [shown(prompt) for prompt in _read(config).documents.prompts.values()]
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "prompt": one["id"],
            "current": one["current"],
            "versions": [version["version"] for version in one["versions"]],
            "variables": [
                variable["name"] + ("" if variable["required"] else "?")
                for version in one["versions"]
                if version["version"] == one["current"]
                for variable in version["variables"]
            ],
            "description": one["description"],
        }
        for one in found
    ]
    print_table(rows, ("prompt", "current", "versions", "variables", "description"))


@command.command()
@click.argument("prompt")
@version_option
@config_option
@json_option
def show(prompt: str, version: str | None, config: Path, *, as_json: bool) -> None:
    """Show what the prompt PROMPT says: one version of it, as it is written."""
    definition = _chosen(_read(config), prompt)
    wanted = version or definition.current
    whole = shown_whole(definition)
    (found,) = [each for each in whole["versions"] if each["version"] == wanted] or [None]
    if found is None:
        _end(f"the prompt {prompt!r} has no version {wanted!r}; it has {', '.join(definition.versions)}")
    if as_json:
        print_json({**whole, "versions": [found]})
        return
    texts = {name: found.pop(name) for name in ("instructions", "messages")}
    print_object({"prompt": prompt, "current": definition.current, **found})
    _print_texts(texts["instructions"], [(one["role"], one["text"]) for one in texts["messages"]])


@command.command()
@click.argument("prompt")
@version_option
@click.option("--var", "given", multiple=True, metavar="NAME=VALUE", help="A variable; an image or a file as JSON.")
@config_option
@json_option
def render(prompt: str, version: str | None, given: tuple[str, ...], config: Path, *, as_json: bool) -> None:
    """Show what becomes of the prompt PROMPT with these variables: what a request that names it is filled in with."""
    prompts = _read(config)
    definition = _chosen(prompts, prompt)
    known = definition.versions.get(version or definition.current)
    variables = {} if known is None else known.template.variables
    kinds: dict[str, VariableKind] = {name: each.type for name, each in variables.items()}
    reference = {"id": prompt, "version": version, "variables": _variables(given, kinds)}
    try:
        filled = prompts.fill({"prompt": reference}, most=sys.maxsize)
    except SwitchgearError as error:
        _end(error.message)
    if filled is None:
        _end(f"no prompt is named {prompt!r}")
    if as_json:
        print_json(filled.fields)
        return
    fields = filled.fields
    said = [(one["role"], one["content"]) for one in fields.get("input", ())]
    rest = {name: value for name, value in fields.items() if name not in ("instructions", "input")}
    print_object({"prompt": filled.use.name, **rest})
    _print_texts(fields.get("instructions", ""), said)


def _read(config: Path) -> Prompts:
    """Read the prompts as the server would; ends with the faults that there are."""
    environ = read_environment()
    try:
        settings = peek(config, environ)
        if settings.prompts is None:
            _end(f"{config}: no prompts are configured here: add the section `prompts`")
        authorizer = PolicySource(config, environ).open(settings.policies, SYSTEM_CLOCK)
        agents = AgentSource(config, environ).open(settings, authorizer).agents.values()
        return PromptSource(config, environ).open(settings, [agent.model for agent in agents])
    except ConfigError as error:
        fail(error)


def _chosen(prompts: Prompts, name: str) -> PromptDefinition:
    known = prompts.documents.prompts
    if name not in known:
        close = difflib.get_close_matches(name[:100], known, n=1)
        _end(f"no prompt is named {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    return known[name]


def _variables(given: tuple[str, ...], kinds: Mapping[str, VariableKind]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            _end(f"--var {one!r}: expected NAME=VALUE")
        try:
            found[name] = value if kinds.get(name, "text") == "text" else msgspec.json.decode(value)
        except msgspec.DecodeError:
            _end(f"--var {name}: an image or a file is a part of a message, as JSON")
    return found


def _print_texts(instructions: str, messages: list[tuple[str, Any]]) -> None:
    if instructions:
        click.echo(f"\ninstructions:\n{instructions.rstrip()}")
    for role, content in messages:
        text = content if isinstance(content, str) else msgspec.json.encode(content).decode()
        click.echo(f"\n{role}:\n{text.rstrip()}")


def _end(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)
