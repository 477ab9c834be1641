"""Settings of Slack: the app that posts approvals, the channels that they go to, and which Slack user is which person."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.provider_settings import HttpUrl
from gateway.config.secret import Secret
from gateway.config.shapes import Expected
from gateway.config.trigger_settings import TriggerName
from gateway.core.caller import DEFAULT_TENANT

ChannelId: TypeAlias = Annotated[
    str, Meta(pattern=r"^[CG][A-Z0-9]{2,30}$"), Expected(words="the id of a Slack channel, such as C0123456789")
]
LinkTemplate: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^https?://[^\s{}<>|]+(\{(incident|run)\}[^\s{}<>|]*)*$", max_length=500),
    Expected(words="an address, such as https://gateway.example.com/console/incidents/{incident}"),
]
SlackUser: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[TE][A-Z0-9]{2,30}/[UW][A-Z0-9]{2,30}$"),
    Expected(words="the ids of a Slack workspace and a user, such as T0123456789/U0123456789"),
]


class ApproverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The person that a Slack user is here."""

    user: Annotated[
        str,
        Meta(min_length=1, max_length=128, description="The person's user id here: what four eyes and votes go by."),
    ]
    groups: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(description="The person's groups.")
    ] = ()


class IncidentThreadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Threads of incidents: one message an incident of a trigger, and what follows in its thread."""

    channel: Annotated[ChannelId | None, Meta(description="Where they are; null is `slack.channel`.")] = None
    triggers: Annotated[
        tuple[TriggerName, ...],
        Meta(description="The triggers whose incidents have one; none is all but schedules, which must be named."),
    ] = ()
    link: Annotated[
        LinkTemplate | None,
        Meta(description="Where people see an incident; {incident} and {run} stand for the ids. Null: no link."),
    ] = None
    evidence: Annotated[
        tuple[HttpUrl, ...],
        Meta(description="Servers that links of an agent's evidence may lead to; all others are shown as plain text."),
    ] = ()


class SlackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Approvals in Slack."""

    bot_token: Annotated[Secret, Meta(description="The app's bot token (xoxb-…), as env:NAME or file:path.")]
    signing_secret: Annotated[Secret, Meta(description="The app's signing secret, as env:NAME or file:path.")]
    channel: Annotated[
        ChannelId, Meta(description="Where questions go that are for no group with a channel of its own.")
    ]
    channels: Annotated[
        dict[str, ChannelId],
        Meta(description="Channels of groups: a question goes to those of the groups that may answer."),
    ] = msgspec.field(default_factory=dict)
    escalation_channel: Annotated[
        ChannelId | None, Meta(description="Where questions go that wait for too long; null is `channel`.")
    ] = None
    tenant: Annotated[
        str, Meta(min_length=1, description="Whose approvals go to Slack, and whose people its users are.")
    ] = DEFAULT_TENANT
    incidents: Annotated[
        IncidentThreadSettings | None,
        Meta(description="Threads of incidents; null: there are none, and questions are posted on their own."),
    ] = None
    users: Annotated[
        dict[SlackUser, ApproverSettings], Meta(description="Who may click, by the ids of workspace and user.")
    ] = msgspec.field(default_factory=dict)
    show_url: Annotated[
        HttpUrl | None,
        Meta(description="Address of this gateway for people, named where arguments are too long for a message."),
    ] = None
    api_url: Annotated[HttpUrl, Meta(description="Slack's Web API; another one is for tests.")] = (
        "https://slack.com/api"
    )
