"""`switchgear user`: people, and what they may administer."""

from __future__ import annotations

import click

from gateway.cli.admin_nouns import TENANT, Noun, noun_group, text_option
from gateway.stores.directory import ROLES

_FIELDS = (
    text_option("--team", "The team's id."),
    text_option("--email", "The e-mail address."),
    text_option("--subject", "What the identity provider calls the person."),
    click.Option(["--role"], type=click.Choice(ROLES), help="What the person may administer; member is nothing."),
)

_USER = Noun(
    family="users",
    word="user",
    columns=("id", "tenant", "team", "name", "email", "role", "created_at"),
    create=(TENANT, *_FIELDS),
    update=(text_option("--name", "The new name."), *_FIELDS),
    filters=(TENANT, *_FIELDS),
)

command = noun_group(_USER, "Administer users.")
