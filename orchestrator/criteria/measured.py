"""Claims with a number: what is measured, how it compares, where and when."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.criteria.asking import ask, declare
from orchestrator.criteria.moments import anchor_of, is_span
from orchestrator.criteria.occurrences import progress_clause
from orchestrator.criteria.pieces import Piece, Test
from orchestrator.criteria.relative import change_in, relative_clause
from orchestrator.criteria.values import PERCENT
from orchestrator.criteria.vocabulary import (
    ARTICLES,
    AUTHENTIC,
    AVERAGED,
    CONDITIONS,
    DERIVED,
    EACH,
    EVENTUALLY,
    EXPLAINS,
    FALLING,
    FAMILY_OF,
    GENERIC_SUBJECTS,
    HOLDERS,
    LATENCY,
    LEADS,
    MEMORY,
    MODALS,
    MOVES,
    OTHER_TRENDS,
    OWNERS,
    PREPOSITIONS,
    REACHES,
    RELATIVE,
    RISING,
    RUNS,
    SHARED,
    STATISTICS,
    STEADY,
    TIMED,
    TRAINING,
    UNNAMED,
    VAGUE,
    direction_of,
    is_metric_like,
)
from orchestrator.domain.criterion import Clause, Kind, Subject

_TIME_UNITS = frozenset({"ms", "us", "ns", "s", "min", "h", "days"})
_COUNTED = frozenset({"step", "epoch", "iteration", "episode", "round", "generation"})
# Before a number these count something: "for at least 200 tokens", "in 1000+ runs".
_COUNTING = frozenset({"for", "in", "on", "across", "over", "with", "after", "every", "from"})
_UNBOUNDED = frozenset(
    {"during", "while", "when", "until", "once", "after", "before", "throughout"}
)
_RATES = re.compile(r"\w+/\w+")


@dataclass(slots=True)
class Measured:
    """A claim with one test, taken apart: what stands before the test, and what after it."""

    test: Test
    subject: list[str] = field(default_factory=list)
    qualifier: list[str] = field(default_factory=list)
    note: list[str] = field(default_factory=list)
    aggregate: str | None = None
    anchor: str | None = None
    hold: int | None = None
    quantifier: str | None = None
    loose: list[str] = field(default_factory=list)  # words after the number without a place
    counted: bool = False  # "100+ cases": the words after the number name what is counted

    @property
    def metric(self) -> str:
        """The phrase that is looked up."""
        return " ".join(self.subject)

    @property
    def scope(self) -> str | None:
        """What narrows the metric; part of the name that is looked up."""
        return " ".join(self.qualifier) or None

    def clause(self, **more: object) -> Clause:
        """The clause on a metric that this claim makes."""
        test = self.test
        aggregate = self.aggregate or ("any" if (self.anchor or "").startswith("by") else "latest")
        known = {
            "subject": Subject.METRIC,
            "metric": self.metric or None,
            "op": test.op,
            "value": test.value,
            "value2": test.value2,
            "unit": test.unit,
            "aggregate": "all" if self.hold else aggregate,
            "anchor": self.anchor,
            "quantifier": self.quantifier,
            "hold": self.hold,
            "tolerance": test.tolerance,
            "qualifier": self.scope,
            "total": test.total,
        }
        return Clause(**(known | more))  # type: ignore[arg-type]


def measured_clauses(
    before: Sequence[Piece], test: Test, after: Sequence[Piece], *, inherited: str | None
) -> tuple[Clause, ...]:
    """The clause of one test with the words around it.

    `inherited` is the metric of the test before, for `accuracy > 0.8 on x, < 0.3 on y`.

    Raises Question where the words leave something open.
    """
    claim = Measured(test)
    _take_before(claim, before, shares=bool(after) and after[0].word == "of")
    _take_after(claim, after)
    if not claim.subject:
        _find_subject(claim, inherited)
    _refine(claim)
    return _checked(claim)


# ------------------------------------------------------------------ words before the number
def _take_before(claim: Measured, pieces: Sequence[Piece], *, shares: bool) -> None:
    words = _trimmed(claim, pieces)
    timed = claim.test.unit in _TIME_UNITS and words and words[-1].word in {"in", "within"}
    if timed or (words and words[-1].word in _COUNTING and shares):
        words.pop()
    if words and words[-1].word in OWNERS and claim.test.unit in {None, "x"}:
        claim.qualifier += [
            _plain(piece) for piece in words[:-1]
            if piece.word not in GENERIC_SUBJECTS | LEADS | MODALS | ARTICLES
        ]  # fmt: skip
        words = []
    if words and words[-1].kind == "word" and words[-1].word in _COUNTING:
        raise ask(f"what does the number after {words[-1].text!r} count? Name the metric that is "
                  "compared", Kind.THRESHOLD)  # fmt: skip
    holder = max(
        (i for i, piece in enumerate(words) if piece.word in HOLDERS and i + 1 < len(words)),
        default=None,
    )
    if holder is not None and _names_metric(words[holder + 1 :]):
        outside = [
            piece for piece in words[:holder]
            if piece.word not in GENERIC_SUBJECTS | LEADS | MODALS | ARTICLES | UNNAMED
        ]  # fmt: skip
        if any(piece.kind in {"anchor", "window"} for piece in outside):
            raise ask("the time in this line belongs to which of its parts?")
        claim.qualifier += [_plain(piece) for piece in outside]
        words = _trimmed(claim, words[holder + 1 :])
    _take_phrase(claim, words)


def _names_metric(pieces: Sequence[Piece]) -> bool:
    words = [piece.text for piece in pieces if piece.kind in {"word", "code", "time"}]
    return bool(words) and is_metric_like(" ".join(words).replace("`", ""))


def _trimmed(claim: Measured, pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces without leading verbs, articles and the verbs that only lead to the number."""
    words = list(pieces)
    while words and words[0].word in LEADS | ARTICLES | MODALS and words[0].kind == "word":
        words.pop(0)
    changed = True
    while words and changed:
        changed = False
        last = words[-1]
        if last.kind == "word" and last.word in STEADY:
            claim.aggregate, changed = "all", True
        elif last.kind == "word" and last.word in MODALS | MOVES | REACHES | {"to", "of", "at"}:
            changed = last.word not in {"of", "at"} or len(words) > 1
        elif last.kind in {"colon", "sign"} or (last.kind == "word" and last.word == "currently"):
            changed = last.text not in {"|"}
        if changed:
            words.pop()
    return words


def _take_phrase(claim: Measured, words: Sequence[Piece]) -> None:
    """Metric first, what narrows it after a preposition."""
    narrowed = False
    for piece in words:
        word = piece.word
        if piece.kind == "word" and word in EXPLAINS and claim.subject:
            return
        if piece.kind in {"anchor", "window", "moment"}:
            _place(claim, piece)
        elif piece.kind == "hold":
            claim.hold = piece.count
        elif word in EACH and word != "both":
            claim.quantifier = "any" if word == "any" else "each"
        elif family := FAMILY_OF.fullmatch(word):
            claim.quantifier = "each"
            claim.qualifier.append(family[1])
        elif piece.kind == "word" and word in STEADY:
            claim.aggregate = "all"
        elif piece.kind == "word" and word in ARTICLES | MODALS:
            continue
        elif piece.kind == "word" and word in PREPOSITIONS and claim.subject:
            narrowed = True
            if word in {"per", "by", "against", "from"}:
                claim.qualifier.append(word)
        elif piece.kind in {"colon", "sign", "slash"}:
            _take_sign(claim, piece)
        else:
            (claim.qualifier if narrowed else claim.subject).append(_plain(piece))


def _take_sign(claim: Measured, piece: Piece) -> None:
    if piece.kind == "colon" or piece.text in "-–—*.…!?":
        return
    if piece.text == "/" or piece.kind == "slash":
        claim.subject.append("/")
        return
    raise ask(f"what does {piece.text!r} mean here? Write the test alone")


def _plain(piece: Piece) -> str:
    return piece.text.strip("`") if piece.kind == "code" else piece.text.strip("*_\"'")


def _place(claim: Measured, piece: Piece) -> None:
    assert piece.moment is not None  # noqa: S101 - every anchor holds one
    if claim.anchor is not None:
        raise ask("two times in one test: which one counts?")
    claim.anchor = anchor_of(piece.kind, piece.moment)


# ------------------------------------------------------------------ words after the number
def _take_after(claim: Measured, pieces: Sequence[Piece]) -> None:
    """What follows the number: place, family, statistic, what it was measured on, a remark."""
    group: list[str] | None = None
    for position, piece in enumerate(pieces):
        word = piece.word
        if piece.kind == "word" and word in EXPLAINS:
            claim.note = [rest.text for rest in pieces[position:]]
            return
        if piece.kind in {"anchor", "window", "moment"}:
            if (
                piece.moment is not None
                and is_span(piece.moment)
                and claim.test.unit in _TIME_UNITS
            ):
                claim.qualifier += ["for", piece.text]  # ~40 hours for 10 epochs
            else:
                _place(claim, piece)
        elif piece.kind == "hold":
            claim.hold = piece.count
        elif word in EACH:
            claim.quantifier = "any" if word == "any" else "each"
        elif family := FAMILY_OF.fullmatch(word):
            claim.quantifier = "each"
            claim.qualifier.append(family[1])
        elif word in STATISTICS and group is None:
            claim.aggregate = STATISTICS[word]
        elif word in STEADY:
            claim.aggregate = "all"
        elif word in EVENTUALLY:
            claim.aggregate = "any"
        elif piece.kind == "word" and word in ARTICLES | MODALS:
            continue
        elif piece.kind == "word" and (word in PREPOSITIONS or word == "of"):
            group = claim.qualifier
            rest = {p.word for p in pieces[position + 1 :]}
            if word in _UNBOUNDED and rest - TRAINING - ARTICLES - {"whole", "entire", "full"}:
                raise ask(f"when is {word!r} … exactly? Write `by`, `at` or `after` with a step")
            if word in _UNBOUNDED:
                claim.aggregate = "all"
                return
            if word in {"per", "of", "without"} or word in RELATIVE:
                claim.qualifier.append(word)
        elif piece.kind == "amount" and group is None and position == 0:
            raise ask("two numbers in a row: which one is the bound?")
        elif piece.kind in {"sign", "colon", "slash", "comma"}:
            if piece.text in "|%":
                raise ask(f"what does {piece.text!r} mean here?")
        elif group is None and word in VAGUE and not claim.loose:
            continue  # "< 15% acceptable": the number says what the word means
        else:
            (claim.loose if group is None else group).append(_plain(piece))


def _find_subject(claim: Measured, inherited: str | None) -> None:
    """`95%+ win rate`: the metric follows; `2-4 steps/sec`: the unit names it."""
    if claim.loose and set(w.casefold() for w in claim.loose) - UNNAMED:
        claim.subject, claim.loose = claim.loose, []
        claim.counted = claim.test.unit is None and claim.test.op != "=="
        return
    if claim.test.unit is not None and _RATES.fullmatch(claim.test.unit):
        claim.subject = [claim.test.unit]
    elif claim.test.unit == "FPS":
        claim.subject = ["FPS"]
    elif inherited is not None:
        claim.subject = inherited.split()
    elif claim.loose:
        claim.subject, claim.loose = claim.loose, []


# ------------------------------------------------------------------ what the words mean together
def _refine(claim: Measured) -> None:
    """Statistics at the head of the name become aggregates; what counts becomes a unit."""
    subject = claim.subject
    percentile = next((w for w in subject[1:] if re.fullmatch(r"[pP]\d\d(\.\d)?", w)), None)
    first = percentile or (subject[0] if len(subject) > 1 else "")
    if head := STATISTICS.get(first.casefold()):
        if claim.aggregate not in {None, head}:
            raise ask(f"{first!r} and {claim.aggregate!r} contradict each other")
        claim.aggregate = head
        claim.subject = [word for word in subject if word != first]
    if claim.anchor and claim.aggregate == "latest":
        claim.aggregate = None
    if claim.anchor and (claim.aggregate or "latest") not in {"latest", "all"}:
        raise ask(f"{claim.aggregate!r} together with {claim.anchor!r}: over which points?")
    if claim.loose:
        # "≤ 10 diffusion steps": what is counted is part of the name that is looked up.
        claim.qualifier += claim.loose
        claim.loose = []
    if claim.aggregate in {"max", "min"} and claim.test.op in _ALL_OF[claim.aggregate]:
        claim.aggregate = "all"


_ALL_OF = {"max": {"<", "<="}, "min": {">", ">="}}


def _checked(claim: Measured) -> tuple[Clause, ...]:
    """Refuse what has two meanings; a definite clause otherwise."""
    test = claim.test
    words = [w.casefold() for w in claim.metric.split()]
    every = words + [w.casefold() for w in claim.qualifier]
    kind = _kind(claim, words)
    if change := change_in(words, claim.qualifier):
        return _relative(claim, change)
    if test.doubt:
        raise ask(test.doubt, kind, (claim.clause(),))
    for word in every:
        if word in CONDITIONS:
            raise ask(f"{word!r} turns the test around or makes it conditional", kind)
        if word in AUTHENTIC and "from" in every:
            raise ask(f"{word!r} claims where something came from; a number proves nothing", kind)
    _vague(claim, words, every, kind)
    if any(word in RELATIVE for word in every):
        return _relative(claim, "exceeds_by" if "exceeds" in words else "times")
    share = _share(claim)
    if share is not None:
        raise declare(
            f"a share of {share}: log it as a metric, or name the family: share(GLOB > bound)",
            Kind.PER_CLASS, (replace(share_clause(claim), quantifier="share"),),
        )  # fmt: skip
    if progress := _progress(claim, words):
        return (progress,)
    if duration := _duration(claim, words):
        return (duration,)
    _unnamed(claim, words, kind)
    named = is_metric_like(claim.metric) or _RATES.search(claim.metric) or claim.counted
    if len(words) > 2 and not named and test.unit not in _TIME_UNITS:
        raise ask(f"is {claim.metric!r} a metric? Write its key in backticks", kind,
                  (claim.clause(),))  # fmt: skip
    _unclear_measure(claim, words, kind)
    trend = next((w for w in words if w in FALLING | RISING | OTHER_TRENDS), None)
    if trend is not None:
        named = " ".join(
            w for w in claim.subject if w.casefold() not in FALLING | RISING | OTHER_TRENDS
        )
        if trend in OTHER_TRENDS:
            kind = Kind.TREND
        raise declare(f"{trend!r} is a trend: over which window?", kind,
                      (claim.clause(metric=named or None),))  # fmt: skip
    if any(word in AVERAGED for word in map(str.casefold, claim.qualifier)):
        raise declare("an average over what? Log it, or write mean(series, window)", kind,
                      (claim.clause(),))  # fmt: skip
    if claim.quantifier is not None and not any("*" in word for word in claim.subject):
        raise declare(
            "which series belong to the family? Name it by a glob, or declare it under [metrics]",
            Kind.PER_CLASS, (claim.clause(),),
        )  # fmt: skip
    derived = next((w for w in words if w in DERIVED), None)
    if derived is not None:
        if test.unit in {PERCENT, "pp"}:
            raise ask(f"{derived!r} in points or in percent, and of what?", kind, (claim.clause(),))
        raise declare(
            f'{derived!r} is derived: declare [metrics."{claim.metric}"] expr = "…"', kind,
            (claim.clause(),),
        )  # fmt: skip
    return (claim.clause(),)


def _relative(claim: Measured, change: str) -> tuple[Clause, ...]:
    found = relative_clause(claim, change)
    if isinstance(found, Clause):
        return (found,)
    raise found


def _kind(claim: Measured, words: Sequence[str]) -> Kind:
    if claim.hold:
        return Kind.TREND
    if claim.quantifier:
        return Kind.PER_CLASS
    if any(word in DERIVED for word in words):
        return Kind.COMPARISON
    return Kind.RANGE if claim.test.op == "between" else Kind.THRESHOLD


def _vague(claim: Measured, words: list[str], every: list[str], kind: Kind) -> None:
    """An adjective that the number explains may go; one that the number does not, may not."""
    vague = [word for word in every if word in VAGUE]
    if not vague:
        return
    kept = [word for word in claim.subject if word.casefold() not in VAGUE]
    explained = set(vague) <= set(words) and kept and vague[0] in {words[-1], words[0]}
    if explained and vague[0] not in {"slightly", "slight", "significantly", "much", "nearly",
                                      "almost", "comparable", "similar"}:  # fmt: skip
        claim.subject = kept
        words[:] = [word for word in words if word not in VAGUE]
        return
    if set(vague) <= set(words) and {"in", "range"} <= set(every):
        return
    raise ask(f"{vague[0]!r} has no measure", kind)


def _share(claim: Measured) -> str | None:
    """The things counted in `≥ 80% of seeds`."""
    scope = [w.casefold() for w in claim.qualifier]
    rest = scope[scope.index("of") + 1 :] if "of" in scope else []
    if claim.test.unit == PERCENT and rest and not rest[0][0].isdigit() and set(rest) & SHARED:
        return " ".join(rest)
    return None


def share_clause(claim: Measured) -> Clause:
    """The clause on a share; its metric is what the share is of."""
    return claim.clause(metric=claim.metric or f"share {claim.scope}", qualifier=None)


def _progress(claim: Measured, words: Sequence[str]) -> Clause | None:
    """`training runs > 500 steps`, `step ≥ 500`, `at least 1,500 steps completed`."""
    test = claim.test
    unit = next((w for w in (*claim.qualifier, *words) if _counts(w)), None)
    if unit is None or test.unit is not None or test.total is not None:
        return None
    rest = {*words, *map(str.casefold, claim.qualifier)} - {unit}
    named = len(words) == 1 and _counts(words[0]) is not None and not claim.qualifier
    if named or (rest <= TRAINING | RUNS | UNNAMED | ARTICLES | {"of", "for", "successfully"}
                 and not (len(words) == 1 and words[0] == "steps" and rest)):  # fmt: skip
        return progress_clause(_counts(unit) or "step", test)
    return None


def _counts(word: str) -> str | None:
    lowered = word.casefold().split()[-1] if word else ""
    for unit in _COUNTED:
        if lowered in {unit, f"{unit}s"}:
            return unit
    return {"iters": "iteration", "updates": "step"}.get(lowered)


def _duration(claim: Measured, words: Sequence[str]) -> Clause | None:
    """`Total time < 2 h`, `completes in under 30 min`: the wall time of the run."""
    test = claim.test
    scope = [w.casefold() for w in claim.qualifier]
    if test.unit not in {"s", "min", "h", "days"} or claim.anchor or "per" in scope:
        return None
    if words and set(words) <= TIMED and not {"inference", "latency", "step", "gpu"} & set(words):
        return Clause(subject=Subject.DURATION, metric="duration", op=test.op, value=test.value,
                      value2=test.value2, unit=test.unit, tolerance=test.tolerance)  # fmt: skip
    return None


def _unnamed(claim: Measured, words: Sequence[str], kind: Kind) -> None:
    rate = claim.test.unit is not None and "/" in claim.test.unit
    unnamed = set(words) <= UNNAMED | ARTICLES or not re.search(r"[^\W\d_]", claim.metric)
    if unnamed and not rate:
        raise ask("no metric is named; name one, such as `eval/loss < 2`", kind,
                  (claim.clause(metric=claim.metric or None),))  # fmt: skip


def _unclear_measure(claim: Measured, words: Sequence[str], kind: Kind) -> None:
    """Memory in percent, a latency without a statistic, an operator that cannot be judged."""
    exact = len(claim.subject) == 1 and re.search(r"[/_@]", claim.subject[0])
    if exact:
        return
    scope = {w.casefold() for w in claim.qualifier}
    if MEMORY & set(words) and claim.test.unit == PERCENT and "gpu" not in {*words, *scope}:
        raise ask("memory of the GPU or of the host, peak or current? Name the logged key", kind,
                  (claim.clause(),))  # fmt: skip
    timed = claim.test.unit in _TIME_UNITS and LATENCY & set(words) and words[-1] == "latency"
    if timed and claim.aggregate is None and not AVERAGED & set(words) and "per" not in scope:
        raise ask("is it the mean, the median or a percentile of that time? Name the logged key",
                  kind, (claim.clause(),))  # fmt: skip
    if claim.aggregate == "any" and not claim.anchor:
        return
    if direction_of(claim.metric) is None and "no-worse" in claim.note:
        raise ask("better in which direction?", kind)
