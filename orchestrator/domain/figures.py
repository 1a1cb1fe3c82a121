"""Numbers as people read them. What is not known says so; nothing becomes 0."""

import math

from orchestrator.domain.criterion import Verdict

UNKNOWN = "unknown"
NONE = "—"


def number(value: float | None) -> str:
    """A bare number with four significant digits: 41,960 · 0.5118 · 1.2e-4 · NaN."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1e9 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if abs(value) >= 1000:
        return f"{value:,.1f}"
    return f"{value:.4g}"


def margin(verdict: Verdict) -> str:
    """Signed distance to the threshold; percentages are fractions, their distance is points."""
    if verdict.margin is None:
        return NONE
    if verdict.unit == "%":
        return f"{verdict.margin * 100:+.2f} pp"
    sign = "+" if verdict.margin >= 0 else ""
    unit = f" {verdict.unit}" if verdict.unit else ""
    return f"{sign}{number(verdict.margin)}{unit}"
