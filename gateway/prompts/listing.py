"""Prompts as people are shown them: by the admin API and by the command line."""

from __future__ import annotations

from typing import Any

from gateway.config.prompt_settings import PromptDefinition, PromptVersion


def shown(prompt: PromptDefinition) -> dict[str, Any]:
    """Give a prompt with its versions, without what these say."""
    return {
        "object": "prompt",
        "id": prompt.id,
        "description": prompt.description,
        "current": prompt.current,
        "versions": [_version(each) for each in prompt.versions.values()],
    }


def shown_whole(prompt: PromptDefinition) -> dict[str, Any]:
    """Give the same with the texts of every version."""
    return {**shown(prompt), "versions": [_whole(each) for each in prompt.versions.values()]}


def _version(version: PromptVersion) -> dict[str, Any]:
    written = version.template
    return {
        "version": version.version,
        "digest": version.digest,
        "description": written.description,
        "model": written.model or None,
        "variables": [
            {
                "name": name,
                "type": variable.type,
                "required": variable.required and variable.default is None,
                "default": variable.default,
                "description": variable.description,
            }
            for name, variable in written.variables.items()
        ],
    }


def _whole(version: PromptVersion) -> dict[str, Any]:
    written = version.template
    return {
        **_version(version),
        "temperature": written.temperature,
        "top_p": written.top_p,
        "max_output_tokens": written.max_output_tokens,
        "instructions": written.instructions,
        "messages": [{"role": message.role, "text": message.text} for message in written.messages],
    }
