"""`switchgear team`: the parts of a tenant."""

from __future__ import annotations

from gateway.cli.admin_nouns import TENANT, Noun, noun_group, text_option

_TEAM = Noun(
    family="teams",
    word="team",
    columns=("id", "tenant", "name", "created_at"),
    create=(TENANT,),
    update=(text_option("--name", "The new name."),),
    filters=(TENANT, text_option("--name", "Only the one of this name.")),
)

command = noun_group(_TEAM, "Administer teams.")
