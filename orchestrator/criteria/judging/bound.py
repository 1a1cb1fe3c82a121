"""What a number must meet, and how far it is from it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.criteria.values import ABOUT, PERCENT, comparison, margin_of, shown


@dataclass(frozen=True, slots=True)
class Bound:
    """`op value`; `other` is the second end of `between`, `tolerance` relative, for `~=`."""

    op: str
    value: float
    other: float | None = None
    tolerance: float = 0.0

    @classmethod
    def of(
        cls, op: str, value: float, other: float | None = None, tolerance: float | None = None
    ) -> "Bound":
        """A bound in which `~=` has its default tolerance of 5%."""
        about = ABOUT if tolerance is None else tolerance
        return cls(op, value, other, about if op == "~=" else 0.0)

    def test(self) -> Callable[[float], bool]:
        """Whether a value meets it; NaN meets nothing."""
        return comparison(self.op, self.value, self.other, self.tolerance)

    def margin(self, value: float) -> float | None:
        """Signed distance to the (nearer) end, positive where it is met; None for NaN and ±∞."""
        if not math.isfinite(value):
            return None
        return margin_of(self.op, value, self.value, self.other, self.tolerance)

    def spread(self, low: float, high: float) -> tuple[bool | None, bool | None]:
        """Whether some and whether all of the values from `low` to `high` meet it.

        Both ends are among the values. None where only a look at each value tells.
        """
        test = self.test()
        if self.op in {">", ">="}:
            return test(high), test(low)
        if self.op in {"<", "<="}:
            return test(low), test(high)
        if self.op == "!=":
            return None, None
        every = test(low) and test(high)
        return every or None, every

    def beyond(self, value: float, *, rising: bool) -> bool:
        """Whether a value that only rises (or only falls) can never meet it again."""
        slack = abs(self.value) * self.tolerance
        ends = (self.value if self.other is None else self.other, self.value)
        if self.op in {"~=", "==", "between"}:
            return value > max(ends) + slack if rising else value < min(ends) - slack
        return self.op in ({"<", "<="} if rising else {">", ">="}) and not self.test()(value)

    def lasting(self, value: float, *, rising: bool) -> bool:
        """Whether what the test says of a value that only rises (or only falls) stays said."""
        if self.test()(value):
            return self.reachable(rising=rising)
        return self.beyond(value, rising=rising)

    def reachable(self, *, rising: bool) -> bool:
        """Whether a value that only rises (or only falls) meets it for good some day."""
        return self.op in ({">", ">="} if rising else {"<", "<="})

    def relation(self, unit: str | None, *, met: bool) -> str:
        """`> 5%`, or `is not > 5%` where that is false."""
        bound = shown(self.value, unit)
        if self.op == "between" and self.other is not None:
            text = f"in {bound} to {shown(self.other, unit)}"
        else:
            text = f"{self.op} {bound}"
            if self.op == "~=":
                text += f" within {shown(self.tolerance, PERCENT)}"
        return text if met else f"is not {text}"
