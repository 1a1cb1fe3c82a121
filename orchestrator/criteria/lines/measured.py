"""A claim with a number taken apart: what is measured, on what, where in training time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.criteria.lines.asking import ask
from orchestrator.criteria.lines.moments import anchor_of, is_span
from orchestrator.criteria.lines.phrase import bare, names_metric
from orchestrator.criteria.lines.pieces import Piece, Test
from orchestrator.criteria.lines.vocabulary import (
    ARTICLES,
    EACH,
    EVENTUALLY,
    EXPLAINS,
    FAMILY_OF,
    FILLERS,
    GENERIC_SUBJECTS,
    HOLDERS,
    MODALS,
    MOVES,
    OWNERS,
    PREPOSITIONS,
    REACHES,
    RELATIVE,
    STATISTICS,
    STEADY,
    TRAINING,
    UNNAMED,
    VAGUE,
    words_of,
)
from orchestrator.criteria.values import TIME_UNITS
from orchestrator.domain.criterion import Clause, Subject

RATE = re.compile(r"\w+/\w+")
# Before a number these count something: "for at least 200 tokens", "in 1000+ runs".
_COUNTING = words_of("for in on across over with after every from")
_SAMPLED = words_of("of on for across over in")
_MEANS = words_of("mean average avg")
_RANGED = words_of("in within the range of")
# What one does to a metric to bring it below or above a bound.
_CHANGING = words_of("reduce increase improve decrease lower raise bring push drive cut")
_UNBOUNDED = words_of("during while when until once after before throughout")
_WHOLE_RUN = TRAINING | ARTICLES | {"whole", "entire", "full"}
_WEIGHTLESS = ARTICLES | MODALS
_NO_SCOPE = GENERIC_SUBJECTS | FILLERS
_NOUNS = words_of("drop fall rise climb get go come")
_LEADS_ON = MODALS | MOVES | REACHES
_DASHES = "-\u2013\u2014"  # hyphen, en dash, em dash
_PLACES = frozenset({"anchor", "window", "moment"})


@dataclass(slots=True)
class Measured:
    """A claim with one test, taken apart: what stands before the test, and what after it."""

    test: Test
    subject: list[str] = field(default_factory=list)
    qualifier: list[str] = field(default_factory=list)
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
    def words(self) -> list[str]:
        """The words of that phrase as they are looked up in tables."""
        return self.metric.casefold().split()

    @property
    def scope(self) -> list[str]:
        """What narrows the metric, likewise; part of the name that is looked up."""
        return [word.casefold() for word in self.qualifier]

    def clause(self) -> Clause:
        """The clause on a metric that this claim makes."""
        test, by = self.test, (self.anchor or "").startswith("by")
        return Clause(
            subject=Subject.METRIC,
            metric=self.metric or None,
            op=test.op,
            value=test.value,
            value2=test.value2,
            unit=test.unit,
            aggregate="all" if self.hold else self.aggregate or ("any" if by else "latest"),
            anchor=self.anchor,
            quantifier=self.quantifier,
            hold=self.hold,
            tolerance=test.tolerance,
            qualifier=" ".join(self.qualifier) or None,
            total=test.total,
        )


def measured(
    before: Sequence[Piece], test: Test, after: Sequence[Piece], *, inherited: str | None
) -> Measured:
    """Give each word around a test its place.

    `inherited` is the metric of the test before, for `accuracy > 0.8 on x, < 0.3 on y`.

    Raises Question where a word has no place, or two.
    """
    claim = Measured(test)
    _take_before(claim, before, shares=bool(after) and after[0].word == "of")
    if after and after[0].kind == "amount":
        raise ask("two numbers in a row: which one is the bound?")
    _take_after(claim, after)
    if not claim.subject:
        _find_subject(claim, inherited)
    return claim


# ------------------------------------------------------------------ words before the number
def _take_before(claim: Measured, pieces: Sequence[Piece], *, shares: bool) -> None:
    words = _trimmed(claim, pieces)
    last = words[-1].word if words else ""
    if claim.test.op == "between":
        while words and words[-1].word in _RANGED:
            words.pop()
        last = words[-1].word if words else ""
    timed = claim.test.unit in TIME_UNITS and last in {"in", "within"}
    if timed or (last in _COUNTING and shares):
        words.pop()
    if words and words[-1].word in OWNERS and claim.test.unit in {None, "x"}:
        claim.qualifier += [bare(piece) for piece in words[:-1] if piece.word not in _NO_SCOPE]
        words = []
    if words and words[-1].kind == "word" and words[-1].word in _COUNTING:
        counting = words[-1].text
        raise ask(
            f"what does the number after {counting!r} count? Name the metric that is compared"
        )
    _take_phrase(claim, _without_holder(claim, words))


def _trimmed(claim: Measured, pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces without leading verbs, articles and the verbs that only lead to the number."""
    words = list(pieces)
    level = all(piece.word != "by" for piece in words)
    while (
        words
        and words[0].kind == "word"
        and (words[0].word in FILLERS or (level and words[0].word in _CHANGING and len(words) > 1))
    ):
        words.pop(0)
    while words and _only_leads(words):
        if words.pop().word in STEADY:
            claim.aggregate = "all"
    return words


def _only_leads(words: Sequence[Piece]) -> bool:
    """Whether the piece before a number says nothing but that the number follows."""
    last, alone = words[-1], len(words) == 1
    word = last.word
    if word in _NOUNS and (alone or words[-2].word not in MODALS | {"to"}):
        return False  # "accuracy drop < 1%" is a change, "should drop below 2" is not
    if last.kind in {"colon", "sign"}:
        return last.text != "|"
    if last.kind != "word":
        return False
    if word in {"of", "at"}:
        return not alone
    return word in STEADY or word in _LEADS_ON or word == "currently"


def _without_holder(claim: Measured, words: list[Piece]) -> list[Piece]:
    """`the agent reaches reward`: the metric is the reward, the agent what it is measured on."""
    holders = [i for i, piece in enumerate(words[:-1]) if piece.word in HOLDERS]
    if not holders or not names_metric(words[holders[-1] + 1 :]):
        return words
    outside = [
        piece
        for piece in words[: holders[-1]]
        if piece.word not in _NO_SCOPE and piece.word not in UNNAMED
    ]
    if any(piece.kind in {"anchor", "window"} for piece in outside):
        raise ask("the time in this line belongs to which of its parts?")
    if any(piece.word in STATISTICS for piece in words[: holders[-1]]):
        raise ask("is it the best value, or that of the best one? Write it as a predicate")
    claim.qualifier += [bare(piece) for piece in outside]
    return _trimmed(claim, words[holders[-1] + 1 :])


def _take_phrase(claim: Measured, words: Sequence[Piece]) -> None:
    """Metric first, what narrows it after a preposition."""
    narrowed = False
    for place, piece in enumerate(words):
        word, is_word = piece.word, piece.kind == "word"
        if is_word and word in EXPLAINS and claim.subject:
            return
        if word != "both" and _take_frame(claim, piece):
            continue
        if is_word and word in PREPOSITIONS and claim.subject:
            narrowed = True
            if word in {"per", "by", "against", "from"}:
                claim.qualifier.append(word)
        elif piece.text in _DASHES and place + 1 < len(words) and words[place + 1].word in MODALS:
            continue  # "compare with A - should see 30%"
        elif piece.kind in {"colon", "sign", "slash"}:
            _take_sign(claim, piece)
        else:
            (claim.qualifier if narrowed else claim.subject).append(bare(piece))


def _take_sign(claim: Measured, piece: Piece) -> None:
    if piece.text == "/":
        claim.subject.append("/")
    elif piece.kind != "colon" and piece.text not in ".…?":
        raise ask(f"what does {piece.text!r} mean here? Write the test alone")


# ------------------------------------------------------------------ words on both sides
def _take_frame(claim: Measured, piece: Piece) -> bool:
    """Take what says when, for how long or in which series; and words without weight."""
    word = piece.word
    if piece.kind in _PLACES:
        _take_place(claim, piece)
    elif piece.kind == "hold":
        if claim.words[:1] and claim.words[0] in _MEANS:
            raise ask("the mean over so many, or so many in a row?")
        claim.hold = piece.count
    elif word in EACH:
        claim.quantifier = "each"
    elif family := FAMILY_OF.fullmatch(word):
        claim.quantifier = "each"
        claim.qualifier.append(family[1])
    elif piece.kind == "word" and word in STEADY:
        claim.aggregate = "all"
    else:
        return piece.kind == "word" and word in _WEIGHTLESS
    return True


def _take_place(claim: Measured, piece: Piece) -> None:
    if claim.anchor is not None:
        raise ask("two times in one test: which one counts?")
    claim.anchor = None if piece.moment is None else anchor_of(piece.moment)


# ------------------------------------------------------------------ words after the number
def _take_after(claim: Measured, pieces: Sequence[Piece]) -> None:
    """What follows the number: place, family, statistic, what it was measured on, a remark."""
    narrowed = False
    for position, piece in enumerate(pieces):
        word = piece.word
        if piece.kind == "word" and word in EXPLAINS:
            return
        _check_number(pieces, position)
        if word not in _UNBOUNDED and (_take_span(claim, piece) or _take_frame(claim, piece)):
            continue
        if word in EVENTUALLY or (word in STATISTICS and not narrowed):
            claim.aggregate = STATISTICS.get(word, "any")
        elif piece.kind == "word" and word in PREPOSITIONS:
            narrowed = True
            if _is_whole_run(claim, word, pieces[position + 1 :]):
                return
        elif piece.kind in {"sign", "colon", "slash", "comma"}:
            _pass_sign(piece)
        elif narrowed:
            claim.qualifier.append(bare(piece))
        elif word not in VAGUE or claim.loose:  # "< 15% acceptable": the number says what it means
            claim.loose.append(bare(piece))


def _check_number(pieces: Sequence[Piece], place: int) -> None:
    """A further number says how many things it is measured on (`on 1,000 sentences`), or asks."""
    piece, test = pieces[place], pieces[place].test
    if piece.kind != "amount" or test is None:
        return
    before = pieces[place - 1].word if place else ""
    follows = place + 1 < len(pieces) and pieces[place + 1].kind == "word"
    if test.unit is not None or test.value < 10 or not follows or before not in _SAMPLED:
        raise ask(f"what is {piece.text!r} for? Write the test as a predicate")


def _pass_sign(piece: Piece) -> None:
    if piece.kind != "comma" and piece.text not in ".…!?:":
        raise ask(f"what does {piece.text!r} mean here?")


def _take_span(claim: Measured, piece: Piece) -> bool:
    """`~40 hours for 10 epochs`: how much was done in that time."""
    moment = piece.moment
    if moment is None or not is_span(moment) or claim.test.unit not in TIME_UNITS:
        return False
    claim.qualifier += ["for", piece.text]
    return True


def _is_whole_run(claim: Measured, word: str, rest: Sequence[Piece]) -> bool:
    """Take a preposition; whether it says `throughout training`, which is every point."""
    if word in _UNBOUNDED:
        if {piece.word for piece in rest} - _WHOLE_RUN:
            raise ask(f"when is {word!r} … exactly? Write `by`, `at` or `after` with a step")
        claim.aggregate = "all"
        return True
    if word in {"per", "of", "without"} or word in RELATIVE:
        claim.qualifier.append(word)
    return False


def _find_subject(claim: Measured, inherited: str | None) -> None:
    """`95%+ win rate`: the metric follows; `2-4 steps/sec`: the unit names it."""
    unit, follows = claim.test.unit, {word.casefold() for word in claim.loose}
    if follows - UNNAMED:
        claim.counted = unit is None and claim.test.op != "=="
    elif unit is not None and (RATE.fullmatch(unit) or unit == "FPS"):
        claim.subject = [unit]
        return
    elif inherited is not None:
        claim.subject = inherited.split()
        return
    claim.subject, claim.loose = claim.loose, []
