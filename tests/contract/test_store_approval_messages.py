"""Where messages about approvals stand, and what is to be said later, on every database."""

import msgspec

from gateway.stores.approval_messages import ApprovalMessage
from gateway.stores.approval_messages_sql import SqlApprovalMessages
from gateway.stores.outbox_sql import SqlOutbox
from tests.contract.tool_records import notice

MESSAGE = ApprovalMessage(approval="mcpr_1", channel="C1", nonce="n", at=1.0)


async def test_a_message_is_kept_in_the_place_of_what_was_kept_of_it(database):
    messages = SqlApprovalMessages(database)
    posted = msgspec.structs.replace(MESSAGE, ts="1.2", shown="pending:1:0")

    await messages.keep(MESSAGE)
    await messages.keep(posted)
    await messages.keep(msgspec.structs.replace(MESSAGE, channel="C0"))
    await messages.keep(msgspec.structs.replace(MESSAGE, approval="mcpr_2"))

    assert [message.channel for message in await messages.of("mcpr_1")] == ["C0", "C1"]
    assert (await messages.of("mcpr_1"))[1] == posted


async def test_a_message_that_is_removed_is_gone_and_no_other(database):
    messages = SqlApprovalMessages(database)
    await messages.keep(MESSAGE)
    await messages.keep(msgspec.structs.replace(MESSAGE, channel="C2"))

    await messages.remove("mcpr_1", "C1")

    assert [message.channel for message in await messages.of("mcpr_1")] == ["C2"]


async def test_what_is_to_be_said_later_is_not_given_before_and_only_once(database):
    outbox = SqlOutbox(database)

    await outbox.put([notice("late"), notice("late")], at=100.0)
    await outbox.put([notice("late")], at=1.0)

    assert await outbox.take(["slack"], now=99.0, until=200.0, most=10) == []
    assert [letter.dedupe for letter in await outbox.take(["slack"], now=100.0, until=200.0, most=10)] == ["late"]
    assert await outbox.take(["slack"], now=101.0, until=200.0, most=10) == []
