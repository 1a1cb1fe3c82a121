"""Terms of a loss: whether their shares are what their weights ask, and whether they explain it."""

import math
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.parts import LOOKS, Parts, losses, parts_of, shares, terms_of
from orchestrator.diagnose.series import Series, Side, all_series, newest
from orchestrator.diagnose.settings import Setting, setting, weights
from orchestrator.domain.finding import Finding, Severity

# Terms that are a cross-entropy over classes, by the names that people give their weights.
_CLASSIFIES = ("task", "ce", "cross_entropy", "classification", "cls", "lm", "hard", "token")
_LARGE = 0.25  # share of the total from which a term with too much of it is worth a word


def component_imbalance(case: Case) -> Iterator[Finding]:
    """A term that is far more or far less of the loss than its declared weight asks."""
    series = all_series(case)
    for loss, told in losses(case, series):
        declared = shares(told)
        looks = parts_of(loss, told, series) if len(declared) > 1 else []
        if looks and all(
            _unbalanced(parts, declared, case.thresholds.component) for parts in looks
        ):
            yield _imbalance(loss, looks[-1], declared)
    yield from _drowned(case, series)


def unnamed_residual(case: Case) -> Iterator[Finding]:
    """A part of the loss that is in no named term."""
    series = all_series(case)
    for loss, told in losses(case, series):
        declared = {term for term, weight in told.items() if weight.value > 0}
        looks = parts_of(loss, told, series) if declared else []
        if not looks or declared - set(looks[-1].terms):
            continue  # without all weights nobody knows what the terms should add up to
        limit = case.thresholds.residual
        if all(each.total - each.named > limit * each.total for each in looks):
            yield _residual(loss, looks[-1], limit)


def _unbalanced(parts: Parts, declared: Mapping[str, float], factor: float) -> bool:
    """Whether a term takes the place of others, or the main one has lost its own."""
    for term, asked in declared.items():
        if term not in parts.terms:
            continue
        share = parts.terms[term] / parts.total
        if share > max(_LARGE, factor * asked) or (asked >= 0.5 and share < asked / factor):
            return True
    return False


def _imbalance(loss: Series, parts: Parts, declared: Mapping[str, float]) -> Finding:
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


def _residual(loss: Series, parts: Parts, limit: float) -> Finding:
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
    declared = shares(told)
    if classes is None or classes.value < 2 or task not in declared or len(declared) < 2:
        return
    for loss, _ in losses(case, series):
        places = newest(loss.curve)[-LOOKS:]
        totals = [loss.curve.values[at] for at in places]
        most = told[task].value * math.log(classes.value)
        limit = most * case.thresholds.component / declared[task]
        if loss.name.side is not Side.TRAIN or loss.name.member or terms_of(loss, told, series):
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
