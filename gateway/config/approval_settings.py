"""Settings of approvals: how long a question waits, who may answer where policies do not say, and who is told."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.provider_settings import HttpUrl
from gateway.config.secret import Secret
from gateway.config.shapes import Expected

Group: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
WebhookName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"),
    Expected(words="a name of at most 64 letters, digits, dots, dashes and underscores"),
]


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A program that is told of approvals."""

    url: Annotated[HttpUrl, Meta(description="Address that gets a POST with a JSON body; redirects are not followed.")]
    secret: Annotated[Secret, Meta(description="Key that signs the body (HMAC-SHA256), as env:NAME or file:path.")]
    tenant: Annotated[
        str | None, Meta(min_length=1, description="It hears of this tenant's approvals alone; null is all tenants'.")
    ] = None
    private: Annotated[
        bool, Meta(description="Whether the address may be one of a private network, or of this machine.")
    ] = False


class ApprovalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """People's leave for what agents do."""

    ttl: Annotated[
        float,
        Meta(ge=1, le=2_592_000, description="Seconds that a question waits, where no policy says; then it expires."),
    ] = 3600.0
    groups: Annotated[
        tuple[Group, ...],
        Meta(description="Who may answer, where no policy says; none is everybody with the right to approve."),
    ] = ()
    quorum: Annotated[int, Meta(ge=1, le=100, description="How many people have to approve, where no policy says.")] = 1
    four_eyes: Annotated[
        bool | None,
        Meta(
            description="Whether whoever asked for the run may not answer; null: where groups are named, by a policy or here."
        ),
    ] = None
    escalate_after: Annotated[
        float | None,
        Meta(ge=1, le=2_592_000, description="Seconds after which more people are told; null tells nobody else."),
    ] = None
    escalate_to: Annotated[
        tuple[Group, ...],
        Meta(description="Groups whose channels are told then; none is the channel for escalations."),
    ] = ()
    webhooks: Annotated[
        dict[WebhookName, WebhookSettings], Meta(description="Programs that are told of approvals, by name.")
    ] = msgspec.field(default_factory=dict)
    tries: Annotated[int, Meta(ge=1, le=1000, description="How often a notice is sent before it is given up.")] = 20
    poll: Annotated[
        float, Meta(gt=0, le=60, description="Seconds between two looks for notices, and for questions that expired.")
    ] = 1.0
