"""Terms of a loss: whether their shares are what their weights ask, and whether they explain it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.series import Measure, Series, Side, all_series, last_at, newest
from orchestrator.diagnose.settings import Setting, setting, weights
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.series import origin_of

_LOOKS = 5  # newest steps of a loss at which its terms are compared
_SCALED = ("weighted", "scaled")  # groups whose terms stand as they count in the total
_RAW = ("raw", "unweighted", "unscaled")
_OTHER_KINDS = ("share", "ratio", "fraction", "weight", "grad", "grad_norm")
# Terms that are a cross-entropy over classes, by the names that people give their weights.
_CLASSIFIES = ("task", "ce", "cross_entropy", "classification", "cls", "lm", "hard", "token")
_LARGE = 0.25  # share of the total from which a term with too much of it is worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """A loss at one step with what each named term adds to it."""

    total: float
    terms: Mapping[str, float]
    quotes: tuple[Quote, ...]

    @property
    def named(self) -> float:
        return math.fsum(self.terms.values())


def component_imbalance(case: Case) -> Iterator[Finding]:
    """A term that is far more or far less of the loss than its declared weight asks."""
    series = all_series(case)
    for loss, told in _losses(case, series):
        declared = _shares(told)
        looks = _looks(loss, told, series) if len(declared) > 1 else []
        if looks and all(
            _unbalanced(parts, declared, case.thresholds.component) for parts in looks
        ):
            yield _imbalance(loss, looks[-1], declared)
    yield from _drowned(case, series)


def unnamed_residual(case: Case) -> Iterator[Finding]:
    """A part of the loss that is in no named term."""
    series = all_series(case)
    for loss, told in _losses(case, series):
        declared = {term for term, weight in told.items() if weight.value > 0}
        looks = _looks(loss, told, series) if declared else []
        if not looks or declared - set(looks[-1].terms):
            continue  # without all weights nobody knows what the terms should add up to
        limit = case.thresholds.residual
        if all(each.total - each.named > limit * each.total for each in looks):
            yield _residual(loss, looks[-1], limit)


def _losses(case: Case, series: Sequence[Series]) -> Iterator[tuple[Series, dict[str, Setting]]]:
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


def _shares(told: Mapping[str, Setting]) -> dict[str, float]:
    """The share of the loss that each weight declares; weights up to a sum of 1 are shares."""
    whole = max(1.0, math.fsum(each.value for each in told.values()))
    return {term: each.value / whole for term, each in told.items() if each.value > 0}


def _looks(loss: Series, told: Mapping[str, Setting], series: Sequence[Series]) -> list[_Parts]:
    """The loss and its terms at the newest steps at which all were logged, in order."""
    found = _terms(loss, told, series)
    if not found or any(kind in _RAW and term not in told for term, (_, kind) in found.items()):
        return []  # what a term is times an unknown weight is unknown
    curves = [loss.curve, *(each.curve for each, _ in found.values())]
    common = set.intersection(*({curve.steps[at] for at in newest(curve)} for curve in curves))
    looks = []
    for step in sorted(common)[-_LOOKS:]:
        points = [(c, at) for c in curves if (at := last_at(c, step)) is not None]
        total, *rest = (curve.values[at] for curve, at in points)
        values = dict(zip(found, rest, strict=True))
        if not 0 < total < math.inf or not all(0 <= v < math.inf for v in values.values()):
            continue
        quotes = [curve.quote(at) for curve, at in points]
        terms = _as_counted(values, {t: kind for t, (_, kind) in found.items()}, told, total)
        looks.append(_Parts(total=total, terms=terms, quotes=tuple(quotes)))
    return looks


def _terms(
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


def _unbalanced(parts: _Parts, declared: Mapping[str, float], factor: float) -> bool:
    """Whether a term takes the place of others, or the main one has lost its own."""
    for term, asked in declared.items():
        if term not in parts.terms:
            continue
        share = parts.terms[term] / parts.total
        if share > max(_LARGE, factor * asked) or (asked >= 0.5 and share < asked / factor):
            return True
    return False


def _imbalance(loss: Series, parts: _Parts, declared: Mapping[str, float]) -> Finding:
    rows, off = [], {}
    for term, value in parts.terms.items():
        share = value / parts.total
        row = f"{term} {value:.4g} ÷ {parts.total:.4g} = {share:.1%}"
        if term in declared:
            off[term] = abs(share - declared[term])
            row += f" where {declared[term]:.0%} is declared ({share / declared[term]:.2g} ×)"
        rows.append(row)
    worst = max(off, key=off.__getitem__)
    share = parts.terms[worst] / parts.total
    return Finding(
        id="component-imbalance",
        subject=loss.name.series,
        severity=Severity.WARN,
        title=f"{worst} is {share:.1%} of {loss.name.series}, declared {declared[worst]:.0%}",
        evidence=parts.quotes,
        arithmetic="; ".join(rows),
        meaning="The terms have other magnitudes than their weights assume: the model optimises"
        " what is largest, not what was declared to matter.",
        action="bring raw terms to one scale (mean, not sum, over dimensions, layers and tokens),"
        " then check that the weights are applied",
    )


def _residual(loss: Series, parts: _Parts, limit: float) -> Finding:
    rest = parts.total - parts.named
    terms = " - ".join(f"{value:.4g} {term}" for term, value in parts.terms.items())
    return Finding(
        id="unnamed-residual",
        subject=loss.name.series,
        severity=Severity.WARN,
        title=f"{rest:.1f} of {parts.total:.2f} in {loss.name.series} is in no named term",
        evidence=parts.quotes,
        arithmetic=f"{parts.total:.4g} - {terms} = {rest:.1f}, {rest / parts.total:.0%} of the loss"
        f" (limit {limit:.0%})",
        meaning="Something is added to the loss that nobody sees, or the terms are logged before a"
        " factor that is applied to them.",
        action="log every term as it enters the total, and check that they add up at each step",
    )


def _drowned(case: Case, series: Sequence[Series]) -> Iterator[Finding]:
    """A task loss that cannot matter, where no term is logged: ln C is what guessing costs.

    A mean cross-entropy over C classes above ln C is worse than a guess; so that much of the total
    is the most that can be the task's.
    """
    told, classes = weights(case), setting(case, "classes") or setting(case, "vocab")
    task = next((name for name in _CLASSIFIES if name in told), None)
    declared = _shares(told)
    if classes is None or classes.value < 2 or task not in declared or len(declared) < 2:
        return
    for loss, _ in _losses(case, series):
        places = newest(loss.curve)[-_LOOKS:]
        totals = [loss.curve.values[at] for at in places]
        most = told[task].value * math.log(classes.value)
        limit = most * case.thresholds.component / declared[task]
        if loss.name.side is not Side.TRAIN or loss.name.member or _terms(loss, told, series):
            continue
        if totals and all(math.isfinite(total) and total > limit for total in totals):
            yield _drowned_in(loss, told[task], classes, declared[task])


def _drowned_in(loss: Series, weight: Setting, classes: Setting, asked: float) -> Finding:
    at = newest(loss.curve)[-1]
    total, most = loss.curve.values[at], weight.value * math.log(classes.value)
    term = weight.name.rpartition(".")[2]
    return Finding(
        id="component-imbalance",
        subject=loss.name.series,
        severity=Severity.WARN,
        title=f"{term} is at most {most / total:.2%} of {loss.name.series}, declared {asked:.0%}",
        evidence=(loss.curve.quote(at), weight.quote, classes.quote),
        arithmetic=f"{weight.value:g} × ln {classes.value:g} = {most:.2f} (guessing among"
        f" {classes.value:g} classes) of {total:.4g} = {most / total:.2%}, declared {asked:.0%}",
        meaning="Another term is so large that the task hardly counts: usually a squared error that"
        " is summed over dimensions instead of averaged.",
        action="average the other terms over their dimensions, and log each term of the loss",
    )
