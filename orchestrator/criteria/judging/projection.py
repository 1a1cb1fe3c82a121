"""When a bound would be crossed at the present trend.

The line of least squares through the last 50 finite points; the interval of the crossing step is
Fieller's (1954), the set of steps at which the line could stand at the bound with 95% confidence.
"""

import math
from collections.abc import Sequence

from orchestrator.criteria.judging.bound import Bound
from orchestrator.domain.criterion import Projection
from orchestrator.domain.point import Point

POINTS = 50
_FEWEST = 8
_METHOD = f"least squares over the last {POINTS} points, 95%"
_FARTHEST = 10**15  # steps; a crossing beyond is none


def project(points: Sequence[Point], bound: Bound) -> Projection | None:
    """The crossing of `bound` (in logged units); None with too few points to tell."""
    finite = [point for point in points if math.isfinite(point.value)]
    if len(finite) < _FEWEST or bound.op == "!=":
        return None
    line = _Line.through(finite)
    if line is None:
        return None
    target = _target(bound, finite[-1].value)
    return line.crossing(target, finite[-1])


def in_words(projection: Projection, limit: float | None) -> str:
    """`at this trend from step 1,200 on (950 to 1,600, 95%)`; `limit` is a last step."""
    if projection.step is None:
        return "not at this trend"
    low = "" if projection.low is None else f"{projection.low:,}"
    ends = f"{low} or later" if projection.high is None else f"{low} to {projection.high:,}"
    text = f"at this trend from step {projection.step:,} on ({ends}, 95%)"
    return f"{text}, too late" if limit is not None and projection.step > limit else text


def _target(bound: Bound, value: float) -> float:
    """The end of a bound that a value outside of it meets first."""
    slack = abs(bound.value) * bound.tolerance
    ends = sorted((bound.value - slack, bound.value + slack))
    if bound.op == "between" and bound.other is not None:
        ends = sorted((bound.value, bound.other))
    return ends[0] if value < ends[0] else ends[-1]


class _Line:
    """y = height + slope * (step - middle), with what its uncertainty needs."""

    def __init__(self, count: int, middle: float, height: float, slope: float) -> None:
        self.count = count
        self.middle = middle
        self.height = height
        self.slope = slope
        self.spread = 0.0  # sum of squared distances of the steps from their middle
        self.noise = 0.0  # (t * standard error of a residual) ** 2

    @classmethod
    def through(cls, points: Sequence[Point]) -> "_Line | None":
        """The line of least squares; None where the points do not determine one."""
        count = len(points)
        middle = math.fsum(point.at.step for point in points) / count
        try:
            height = math.fsum(point.value / count for point in points)
            spread = math.fsum((point.at.step - middle) ** 2 for point in points)
            if spread == 0:
                return None
            slope = math.fsum((p.at.step - middle) * (p.value - height) for p in points) / spread
            line = cls(count, middle, height, slope)
            line.spread = spread
            squares = math.fsum((point.value - line.at(point.at.step)) ** 2 for point in points)
            line.noise = student(count - 2) ** 2 * squares / (count - 2)
        except OverflowError:
            return None
        return line if math.isfinite(line.slope) and math.isfinite(line.noise) else None

    def at(self, step: float) -> float:
        """The height of the line at a step."""
        return self.height + self.slope * (step - self.middle)

    def crossing(self, target: float, newest: Point) -> Projection:
        """Where the line meets `target`, at the newest point at the earliest."""
        never = Projection(method=_METHOD)
        now, missing = newest.at.step, target - newest.value
        if self.slope == 0 or math.copysign(1.0, self.slope) != math.copysign(1.0, missing):
            return never
        place = self.middle + (target - self.height) / self.slope
        if not abs(place) < _FARTHEST:
            return never
        low, high = self._interval(target)
        return Projection(
            method=_METHOD,
            step=max(now, math.ceil(place)),
            low=None if low is None else max(now, math.floor(low)),
            high=None if high is None or high > _FARTHEST else max(now, math.ceil(high)),
        )

    def _interval(self, target: float) -> tuple[float | None, float | None]:
        """Steps d from the middle with (h + s*d - target)² <= noise * (1/n + d²/spread)."""
        gap = self.height - target
        square = self.slope**2 - self.noise / self.spread
        linear = self.slope * gap
        constant = gap**2 - self.noise / self.count
        root = linear**2 - square * constant
        if not math.isfinite(root):
            return None, None
        if square > 0:  # the slope is certain: both ends are
            half = math.sqrt(max(0.0, root))
            return self.middle + (-linear - half) / square, self.middle + (-linear + half) / square
        if square == 0 or root < 0:
            return None, None
        # The slope may be nought: the set is open, and only what lies ahead counts.
        ends = sorted((-linear + sign * math.sqrt(root)) / square for sign in (-1, 1))
        return self.middle + ends[1], None


def student(freedom: int) -> float:
    """97.5% of Student's t lie below this; Cornish-Fisher, to 0.2% from 6 degrees on."""
    z = 1.959963984540054
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
