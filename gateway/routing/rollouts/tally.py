"""What a replica has counted under one epoch, and what the others have. Numbers by name, nothing else; replicas' are added up."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt


class Tally:
    """`own` is what was counted here; `others` is what was last heard of the other replicas."""

    __slots__ = ("dirty", "others", "own")

    def __init__(self) -> None:
        self.own: dict[str, float] = {}
        self.others: Mapping[str, float] = {}
        self.dirty = False

    def add(self, name: str, amount: float) -> None:
        """Count something."""
        self.own[name] = self.own.get(name, 0.0) + amount
        self.dirty = True

    def add_value(self, name: str, value: float) -> None:
        """Count a measured value: how many there are, their sum, and that of their squares."""
        self.add(f"{name}.n", 1)
        self.add(f"{name}.sum", value)
        self.add(f"{name}.sq", value * value)

    def __getitem__(self, name: str) -> float:
        return self.own.get(name, 0.0) + self.others.get(name, 0.0)

    def moments(self, *names: str) -> Moments:
        """Give what is known of the values of these names together."""
        return Moments(
            sum(self[f"{name}.n"] for name in names),
            sum(self[f"{name}.sum"] for name in names),
            sum(self[f"{name}.sq"] for name in names),
        )

    def names(self) -> set[str]:
        """Give all names that anybody counts under."""
        return {*self.own, *self.others}


class Moments:
    """Values by their number, mean and standard deviation."""

    __slots__ = ("mean", "n", "spread")

    def __init__(self, n: float, total: float, squares: float) -> None:
        self.n = n
        self.mean = total / n if n else 0.0
        variance = (squares - n * self.mean * self.mean) / (n - 1) if n > 1 else 0.0
        self.spread = sqrt(max(variance, 0.0))
