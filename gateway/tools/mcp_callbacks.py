"""What a server asks and says by itself in the midst of a call (2025-11-25), on its way to the call that it belongs to."""

from __future__ import annotations

from typing import Any, Final

from mcp_types import (
    METHOD_NOT_FOUND,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    ListRootsResult,
    LoggingMessageNotificationParams,
)

from gateway.core.items import Json
from gateway.core.tools import ROOTS, SAMPLING
from gateway.tools.eliciting import Flights
from gateway.tools.passing import NotPassed

_REJECTED: Final = -1
"""The code by which a client says that a request for its model was rejected."""


def callbacks_of(flights: Flights) -> dict[str, Any]:
    """Give the callbacks of the library's client, by its names for them. What a server may not ask, it is not told that it can."""

    async def elicit(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        said = params.model_dump(by_alias=True, mode="json", exclude_none=True)
        return ElicitResult.model_validate(flights.answer(said))

    async def sample(context: object, params: CreateMessageRequestParams) -> CreateMessageResult | ErrorData:
        del context
        said = _passed(flights, SAMPLING, params.model_dump(by_alias=True, mode="json", exclude_none=True))
        return said if isinstance(said, ErrorData) else CreateMessageResult.model_validate(said)

    async def roots(context: object) -> ListRootsResult | ErrorData:
        del context
        said = _passed(flights, ROOTS, {})
        return said if isinstance(said, ErrorData) else ListRootsResult.model_validate(said)

    async def hear_log(params: LoggingMessageNotificationParams) -> None:
        await flights.log(params.level, params.logger, params.data)

    return {
        "elicitation_callback": elicit,
        "sampling_callback": sample if "sampling" in flights.passed else None,
        "list_roots_callback": roots if "roots" in flights.passed else None,
        "logging_callback": hear_log,
    }


def _passed(flights: Flights, method: str, params: Json) -> dict[str, Json] | ErrorData:
    try:
        said = flights.result(method, params)
    except NotPassed as error:
        return ErrorData(code=METHOD_NOT_FOUND, message=str(error))
    if said is None:
        return ErrorData(code=_REJECTED, message="Nobody answers now. The tool is called again if the client answers.")
    return said
