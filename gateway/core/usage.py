"""Token counts in disjoint buckets: the sum of all buckets is what was processed, and nothing counts twice."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

BYTES_A_TOKEN: Final = 4
"""Of English text, on average: for estimates, where nobody counted."""

BesideReason = Literal["hedge", "cascade", "vote", "judge", "continuation", "choice", "repair", "cache"]
"""Why a target used tokens for a call whose answer is another's.

hedge         another target was quicker
cascade       its answer did not pass the check
vote          it was outvoted
judge         it judged the answers of others
continuation  its answer broke off, and another target went on with it
choice        one of several answers that were asked for (n); the call failed because another of them did
repair        it was not of the form that was asked for
"""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer.

    `input` excludes what was read from or written to a prompt cache; `output` excludes `reasoning`. `estimated` says that
    the upstream gave no figures and these were counted here.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False

    @property
    def input_total(self) -> int:
        """All tokens that went in, cached or not."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def output_total(self) -> int:
        """All tokens that came out, reasoning included."""
        return self.output + self.reasoning

    @property
    def total(self) -> int:
        """Everything."""
        return self.input_total + self.output_total


NO_USAGE: Final = Usage()
