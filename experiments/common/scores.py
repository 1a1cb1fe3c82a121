"""Scores by name."""

from collections.abc import Mapping

_BESIDE = ("above_baseline", "pooled", "reported")


def headline(scores: Mapping[str, float]) -> str:
    """What is printed: scores without a prefix, leads over baselines, and every share of exact."""
    shown = [
        name
        for name in scores
        if "/" not in name or name.rpartition("/")[0] in _BESIDE or name.endswith("/exact")
        if not is_baseline(name)
    ]
    return " ".join(f"{name}={scores[name]:.4f}" for name in shown)


def is_baseline(name: str) -> bool:
    """Whether the score is that of an answer without learning, the same for every model."""
    return "baseline" in name.split("/")
