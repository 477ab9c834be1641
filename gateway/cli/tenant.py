"""`switchgear tenant`: organisations."""

from __future__ import annotations

from gateway.cli.admin_nouns import Noun, noun_group, text_option

_TENANT = Noun(
    family="tenants",
    word="tenant",
    columns=("id", "name", "created_at"),
    create=(),
    update=(text_option("--name", "The new name."),),
    filters=(text_option("--name", "Only the one of this name."),),
)

command = noun_group(_TENANT, "Administer tenants: organisations that know nothing of each other.")
