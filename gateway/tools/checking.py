"""Holds what goes to a tool and what comes from it against the tool's schemas. What breaks one is told to the model, which can do better."""

from __future__ import annotations

import msgspec

from gateway.core.errors import Overloaded, UnsupportedSchema
from gateway.core.items import Json
from gateway.core.tools import Tool, ToolOutput
from gateway.schemas.worker import Judging
from gateway.tools.content import failure
from gateway.tools.hub import ToolNotReached


class Checking:
    """Checks calls. `judging` belongs to the same event loop."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging

    async def faults(self, tool: Tool, arguments: dict[str, Json]) -> ToolOutput | None:
        """Give what is wrong with the arguments, by path; None where nothing is.

        Raises ToolNotReached where nothing can be judged now, because too much is waiting for it.
        """
        try:
            found = await self._violations(tool.schema, arguments)
        except Overloaded as error:
            msg = f"The arguments of {tool.id!r} could not be checked now. Nothing was done."
            raise ToolNotReached(msg) from error
        return failure(f"The arguments do not fit the tool's schema, so it was not called. {found}") if found else None

    async def checked(self, tool: Tool, output: ToolOutput) -> ToolOutput:
        """Give the output, as an error where it is not what the tool's own schema promises."""
        if tool.output_schema is None or output.is_error or output.wishes:
            return output
        if output.structured is None:
            found = "It has no structured content, which the tool's output schema asks for."
        else:
            try:
                found = await self._violations(tool.output_schema, output.structured)
            except Overloaded:
                found = "It could not be checked."
        if not found:
            return output
        # The text stays: the call was done, and a model that knows nothing of its result would do it again.
        said = f"The call was done, but its answer does not fit the tool's own schema. {found}\n{output.text}"
        return msgspec.structs.replace(failure(said), structured=output.structured)

    async def _violations(self, schema: dict[str, Json], value: Json) -> str:
        try:
            text = msgspec.json.encode(value).decode()
            violations = await self._judging.violations(schema, text)
        except UnsupportedSchema as error:
            return f"The schema cannot be judged by: {error.message}"
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
            return "It is no JSON that can be sent."
        return " ".join(f"{violation}." for violation in violations)
