"""`switchgear service-account`: programs that call on their own account."""

from __future__ import annotations

from gateway.cli.admin_nouns import TENANT, Noun, noun_group, text_option

_TEAM = text_option("--team", "The team's id.")

_SERVICE_ACCOUNT = Noun(
    family="service_accounts",
    word="service account",
    columns=("id", "tenant", "team", "name", "created_at"),
    create=(TENANT, _TEAM),
    update=(text_option("--name", "The new name."), _TEAM),
    filters=(TENANT, _TEAM),
)

command = noun_group(_SERVICE_ACCOUNT, "Administer service accounts.")
