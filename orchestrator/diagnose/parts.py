"""The terms of a loss: which they are, what each adds to it, and what share its weight declares."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.series import Measure, Series, last_at, newest
from orchestrator.diagnose.settings import Setting, weights
from orchestrator.domain.finding import Quote
from orchestrator.domain.series import origin_of

LOOKS = 5  # newest steps of a loss at which its terms are compared
_SCALED = ("weighted", "scaled")  # groups whose terms stand as they count in the total
_RAW = ("raw", "unweighted", "unscaled")
_OTHER_KINDS = ("share", "ratio", "fraction", "weight", "grad", "grad_norm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A loss at one step with what each named term adds to it."""

    step: int
    total: float
    terms: Mapping[str, float]
    quotes: tuple[Quote, ...]

    @property
    def named(self) -> float:
        """What all named terms add up to."""
        return math.fsum(self.terms.values())


def losses(case: Case, series: Sequence[Series]) -> Iterator[tuple[Series, dict[str, Setting]]]:
    """The totals of training and of evaluation, of each member, with the weights declared."""
    known: dict[str, dict[str, Setting]] = {}
    for each in series:
        if each.name.measure is not Measure.LOSS:
            continue
        member = each.name.member
        told = known[member] = known[member] if member in known else weights(case, member)
        *groups, last = _words(each)
        if _plain(last) not in told and not set(groups) & {*_RAW, *_SCALED, *_OTHER_KINDS}:
            yield each, told


def shares(told: Mapping[str, Setting]) -> dict[str, float]:
    """The share of the loss that each weight declares; weights up to a sum of 1 are shares."""
    whole = max(1.0, math.fsum(each.value for each in told.values()))
    return {term: each.value / whole for term, each in told.items() if each.value > 0}


def parts_of(loss: Series, told: Mapping[str, Setting], series: Sequence[Series]) -> list[Parts]:
    """The loss and its terms at the newest steps at which all were logged, in order."""
    found = terms_of(loss, told, series)
    if not found or any(kind in _RAW and term not in told for term, (_, kind) in found.items()):
        return []  # what a term is times an unknown weight is unknown
    curves = [loss.curve, *(each.curve for each, _ in found.values())]
    common = set.intersection(*({curve.steps[at] for at in newest(curve)} for curve in curves))
    looks = []
    for step in sorted(common)[-LOOKS:]:
        points = [(c, at) for c in curves if (at := last_at(c, step)) is not None]
        total, *rest = (curve.values[at] for curve, at in points)
        values = dict(zip(found, rest, strict=True))
        if not 0 < total < math.inf or not all(0 <= v < math.inf for v in values.values()):
            continue
        quotes = [curve.quote(at) for curve, at in points]
        terms = _as_counted(values, {t: kind for t, (_, kind) in found.items()}, told, total)
        looks.append(Parts(step=step, total=total, terms=terms, quotes=tuple(quotes)))
    return looks


def terms_of(
    loss: Series, told: Mapping[str, Setting], series: Sequence[Series]
) -> dict[str, tuple[Series, str]]:
    """Series of the terms beside a loss by name, with the group they stand in (`raw`, or none)."""
    found: dict[str, tuple[Series, str]] = {}
    for each in series:
        name = each.name
        same = name.member == loss.name.member and name.side_word == loss.name.side_word
        if not same or each.name.series == loss.name.series:
            continue
        if origin_of(name.series) != origin_of(loss.name.series):
            continue
        term, kind = _term(each, told)
        if term and (term not in found or kind in _SCALED):
            found[term] = (each, kind)
    return found


def _term(each: Series, told: Mapping[str, Setting]) -> tuple[str, str]:
    """The term that a series holds and the group it stands in; empty if it is none."""
    words = [_plain(word) for word in _words(each)]
    kind = next((word for word in words[:-1] if word in (*_RAW, *_SCALED)), "")
    if not words or any(word in _OTHER_KINDS for word in words[:-1]):
        return "", ""
    if kind or words[-1] in told:
        return words[-1], kind
    return (each.name.part or words[-1], kind) if each.name.measure is Measure.TERM else ("", "")


def _words(each: Series) -> list[str]:
    return each.name.series.lower().replace("-", "_").split("/")


def _plain(word: str) -> str:
    return word.removesuffix("_loss").removeprefix("loss_")


def _as_counted(
    values: Mapping[str, float],
    kinds: Mapping[str, str],
    told: Mapping[str, Setting],
    total: float,
) -> dict[str, float]:
    """What each term adds to the total: its value as it stands, or times its weight.

    Where no group says which, whichever adds up to the total better.
    """
    stands = {t for t in values if kinds[t] in _SCALED or t not in told}
    weighed = {t: v if t in stands else v * told[t].value for t, v in values.items()}
    if any(kind in _RAW for kind in kinds.values()):
        return weighed
    as_it_stands = abs(total - math.fsum(values.values()))
    return dict(values) if as_it_stands <= abs(total - math.fsum(weighed.values())) else weighed
