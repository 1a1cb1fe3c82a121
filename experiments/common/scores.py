"""Scores by name, printed."""

from collections.abc import Mapping


def headline(scores: Mapping[str, float]) -> str:
    """What is printed: scores at the first count of segments, pooled ones, lead over a baseline."""
    beside = ("above_baseline", "pooled")
    shown = [n for n in scores if "/" not in n or n.rpartition("/")[0] in beside]
    return " ".join(f"{name}={scores[name]:.4f}" for name in shown)
