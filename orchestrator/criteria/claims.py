"""A claim as a whole: conditions, labels and lists around the single tests in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.criteria.asking import Question, ask, declare, person
from orchestrator.criteria.measured import measured_clauses
from orchestrator.criteria.moments import anchor_of
from orchestrator.criteria.occurrences import occurrence_clauses, progress_clause
from orchestrator.criteria.pieces import Piece, Test, pieces_of
from orchestrator.criteria.relative import relative_words
from orchestrator.criteria.values import ABOUT
from orchestrator.criteria.vocabulary import (
    ARTICLES,
    CHECKPOINTS,
    COMPLETES,
    CONDITIONS,
    EXISTS,
    FALLING,
    IMPROVES,
    INCIDENTS,
    LABELS,
    LAUNCHED,
    LEADS,
    MODALS,
    OTHER_TRENDS,
    REACHES,
    REDUCES,
    REPORTS,
    RISING,
    RUNS,
    TRAINING,
    VAGUE,
    direction_of,
    is_metric_like,
    words_of,
)
from orchestrator.domain.criterion import Clause, Decidable, Kind, Subject

POSITIVE, CONDITIONAL = "positive", "conditional"
_IF = words_of("if when whenever wenn si falls 若 如果 если")
_THEN = frozenset({"arrow", "colon", "comma"})
_ACTIONS = words_of("reduce stop abort kill restart lower raise increase decrease tune switch halt "
                    "pause alert rollback early check investigate use try deploy proceed continue go ship "
                    "move scale accept reject adopt promote iterate")  # fmt: skip
_COMPARED = words_of("exceed exceeds beat beats outperforms outperform surpass surpasses above "
                     "below under higher lower greater less smaller larger better worse")  # fmt: skip
_VERBS = (COMPLETES | EXISTS | REPORTS | RUNS | FALLING | RISING | OTHER_TRENDS | LAUNCHED
          | words_of("no zero without passes pass")) - {"through", "present"}  # fmt: skip
_DEVICE = re.compile(r"[ABHVLT]\d{1,3}0?s?|GPUs?|gpus?|RTX|TPUs?")
_JOINTS = frozenset({"comma", "and", "or"})
_LEAST_CERTAIN = (Decidable.MANUAL, Decidable.ASK, Decidable.DECLARE, Decidable.YES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was understood of a line, whole or in part; `question` is what is still open."""

    clauses: tuple[Clause, ...]
    polarity: str = POSITIVE
    question: Question | None = None


def read_claim(text: str) -> Claim:
    """Read a claim without its notes. Raises NotReadError for what holds no pieces at all."""
    pieces = [piece for piece in pieces_of(text) if piece.text not in {"#", "!", "…", "¹", "²"}]
    try:
        pieces, polarity = _condition(pieces)
    except Question as question:
        return Claim(clauses=question.clauses, question=question)
    if not pieces:
        return Claim(clauses=(), question=person("there is nothing to test"))
    claim = _labelled(pieces)
    return replace(claim, polarity=polarity)


# ------------------------------------------------------------------ if … then
def _condition(pieces: list[Piece]) -> tuple[list[Piece], str]:
    """The test of a rule: `if KL > 0.3 → stop`, `reduce LR if perplexity > 15`."""
    start = next((i for i, piece in enumerate(pieces) if piece.word in _IF), None)
    if start is not None and (start == 0 or _leads_to_action(pieces[:start])):
        rest = pieces[start + 1 :]
        end = next((i for i, piece in enumerate(rest) if piece.kind in _THEN), len(rest))
        return rest[:end], CONDITIONAL
    arrow = next((i for i, piece in enumerate(pieces) if piece.kind == "arrow"), None)
    if arrow is None:
        return pieces, POSITIVE
    left, right = pieces[:arrow], pieces[arrow + 1 :]
    if _tests(left) and right and right[0].word in _ACTIONS:
        return left, CONDITIONAL
    if _tests(right) and _tests(left):
        raise ask("from one value to another: by when? Write two tests", Kind.TREND)
    if _tests(right):
        return right, POSITIVE  # "retrain the teacher → expect loss < 3.2"
    return left, CONDITIONAL


def _leads_to_action(pieces: Sequence[Piece]) -> bool:
    words = [piece.word for piece in pieces if piece.kind == "word"]
    label = pieces[-1].kind == "colon"
    return label or (bool(words) and words[0] in _ACTIONS)


def _tests(pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.kind == "test"]


# ------------------------------------------------------------------ label: claim
def _labelled(pieces: list[Piece]) -> Claim:
    """`CIFAR-10: FID < 5` is measured on it; `Collision rate: < 10%` names it; `Epoch 3: …` when."""
    colon = next((i for i, piece in enumerate(pieces) if piece.kind == "colon"), None)
    if colon is None:
        return _joined(pieces)
    label, body = pieces[:colon], pieces[colon + 1 :]
    if not body:
        return _joined(label)
    if not label or _tests(label):
        return _joined(body if not label else [*label, replace(pieces[colon], kind="comma"), *body])
    times = [piece for piece in label if piece.kind in {"moment", "anchor"}]
    others = {piece.word for piece in label if piece.moment is None}
    if len(times) == 1 and others <= LABELS | LEADS | words_of("final training complete expected"):
        return _at_moment(times[0], body)
    if times and _tests(body):
        return Claim(clauses=(), question=ask("does the time before the colon bound the test?"))
    words = [piece.word for piece in label if piece.kind != "sign"]
    if any(piece.kind == "code" for piece in body) and not _tests(body):
        return _joined([*label, replace(pieces[colon], kind="sign"), *body])  # saved: `best.pt`
    announces = set(words) <= LABELS | LEADS | ARTICLES | MODALS
    if announces and (_speaks(body) or not _tests(body)):
        return _labelled(body)
    first = next((i for i, piece in enumerate(body) if piece.kind == "test"), None)
    if first is not None and _is_bare(body[:first]):
        named = [piece for piece in label if piece.word not in LABELS]
        follows = _phrase(body[first + 1 :])
        if is_metric_like(_phrase(named)) or not is_metric_like(follows):
            return _joined([*named, *body])
        return _joined(body)
    inner = _labelled(body)
    if inner.clauses and inner.question is None and not any(p.moment for p in label):
        named = " ".join(piece.text.strip("*") for piece in label)
        return replace(inner, clauses=tuple(_narrowed(clause, named) for clause in inner.clauses))
    if inner.question is not None and inner.question.kind is Kind.MANUAL and not _tests(body):
        alone = _joined(label)
        return alone if alone.question is None else _joined([*label, *body])
    return inner


def _speaks(body: Sequence[Piece]) -> bool:
    """Whether a claim names something by itself, so that a generic label adds nothing."""
    return any(piece.kind in {"word", "code", "quoted"} for piece in body)


def _is_bare(before: Sequence[Piece]) -> bool:
    """Whether nothing but verbs stands between label and number: the label names the metric."""
    words = {piece.word for piece in before if piece.kind == "word"}
    plain = all(piece.kind in {"word", "sign"} for piece in before)
    return plain and words <= MODALS | LEADS | ARTICLES | words_of("stay stays remain keep")


def _at_moment(label: Piece, body: list[Piece]) -> Claim:
    assert label.moment is not None  # noqa: S101 - checked by the caller
    if not _tests(body):
        return _joined([label, *body])
    anchor = anchor_of(label.kind, label.moment)
    claim = _labelled(body)
    return replace(
        claim, clauses=tuple(replace(clause, anchor=clause.anchor or anchor)
                             for clause in claim.clauses)
    )  # fmt: skip


def _narrowed(clause: Clause, label: str) -> Clause:
    if clause.subject is not Subject.METRIC or clause.value is None:
        return clause
    scope = f"{label} {clause.qualifier}" if clause.qualifier else label
    return replace(clause, qualifier=scope)


# ------------------------------------------------------------------ lists of tests
def _joined(pieces: list[Piece]) -> Claim:
    """Every test of a list; one that stays open leaves the whole line open."""
    clauses: list[Clause] = []
    questions: list[Question] = []
    shared: list[Piece] = []  # "on 1,000 sentences, accuracy > 85%": belongs to what follows
    inherited: str | None = None
    segments = _segments(pieces)
    for position, segment in enumerate(segments):
        if position + 1 < len(segments) and _is_setting(segment):
            shared = segment
            continue
        try:
            found = _segment([*segment, *shared] if shared else segment, inherited)
        except Question as question:
            questions.append(question)
            found = question.clauses
        clauses += found
        inherited = next((c.metric for c in reversed(found) if c.value is not None), inherited)
    if not questions:
        return Claim(clauses=tuple(clauses))
    return Claim(clauses=tuple(clauses), question=_worst(questions, tuple(clauses)))


def _worst(questions: Sequence[Question], clauses: tuple[Clause, ...]) -> Question:
    """The question that needs a person most; a line of which a part was understood is no prose."""
    worst = min(questions, key=lambda question: _LEAST_CERTAIN.index(question.decidable))
    if worst.decidable is Decidable.MANUAL and clauses:
        return ask(f"a part of the line is not understood: {worst.why}", questions[0].kind)
    return worst


def _segments(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Cut at commas and `and`, where both sides are claims; names in a list share their test."""
    cut: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.kind in _JOINTS or (piece.kind == "sign" and piece.text == "+"):
            cut.append([piece])
        else:
            cut[-1].append(piece)
    segments: list[list[Piece]] = []
    for part in cut:
        joint = part[0] if part and (part[0].kind in _JOINTS or part[0].text == "+") else None
        body = part[1:] if joint is not None else part
        if not body:
            continue
        if segments and not _stands_alone(body, joint, segments[-1]):
            segments[-1] += [*([joint] if joint is not None else []), *body]
        else:
            segments.append(list(body))
    return _distributed(segments)


def _stands_alone(body: Sequence[Piece], joint: Piece | None, before: Sequence[Piece]) -> bool:
    """Whether a part of a list is a claim of its own."""
    if joint is not None and joint.kind == "or":
        return False
    if _tests(body) or any(piece.kind in {"op", "much"} for piece in body):
        return True
    if _tests(before) and joint is not None:
        return joint.kind != "and" or bool({piece.word for piece in body} & _VERBS)
    if any(p.kind in {"code", "quoted"} for p in (*body, *before)):
        return False
    return joint is not None and joint.kind == "comma" and not _is_list_of_names(before, body)


def _is_list_of_names(before: Sequence[Piece], body: Sequence[Piece]) -> bool:
    """`precision, recall and F1 are logged`: the verb comes at the end."""
    words = [piece.text for piece in before if piece.kind == "word"]
    return bool(words) and is_metric_like(" ".join(words)) and len(words) <= 2 and bool(body)


def _distributed(segments: list[list[Piece]]) -> list[list[Piece]]:
    """`t_acc, v_acc > 70%` claims it of both."""
    result: list[list[Piece]] = []
    waiting: list[list[Piece]] = []
    for segment in segments:
        if not _tests(segment) and segment is not segments[-1] and _is_name(segment):
            waiting.append(segment)
            continue
        first = next((i for i, piece in enumerate(segment) if piece.kind == "test"), None)
        if waiting and first is not None and _is_name(segment[:first]):
            result += [[*name, *segment[first:]] for name in waiting]
            waiting = []
        result += waiting
        waiting = []
        names: list[list[Piece]] = [[]]
        for piece in segment[: first or 0]:
            if piece.kind in {"and", "comma"}:
                names.append([])
            else:
                names[-1].append(piece)
        if len(names) > 1 and all(_is_name(name) for name in names):
            result += [[*name, *segment[first:]] for name in names]
        else:
            result.append(segment)
    return result


def _is_name(pieces: Sequence[Piece]) -> bool:
    words = [
        p.text.strip("`") for p in pieces if p.word not in MODALS | ARTICLES | LEADS | {"both"}
    ]
    plain = all(p.kind in {"word", "code", "time"} for p in pieces)
    return plain and bool(words) and len(words) <= 3 and is_metric_like(" ".join(words))


def _is_setting(segment: Sequence[Piece]) -> bool:
    """`On 1,000 test sentences with known labels`, before the comma."""
    starts = segment[0].kind == "word" and segment[0].word in {"on", "in", "for", "with", "across",
                                                               "during", "under"}  # fmt: skip
    return starts and not _tests(segment)


# ------------------------------------------------------------------ one test
def _segment(pieces: list[Piece], inherited: str | None) -> tuple[Clause, ...]:
    if any(piece.kind == "much" for piece in pieces):
        raise ask("how much is `<<` or `>>`?", Kind.COMPARISON)
    while len(pieces) > 1 and pieces[0].word in {"with", "and", "but", "while"}:
        pieces = pieces[1:]
    pieces = _reached(pieces)
    if _tests(pieces):
        return _measured(pieces, inherited)
    if any(piece.kind == "op" for piece in pieces):
        return _compared(pieces)
    if gpus := _gpus(pieces):
        return gpus
    if progress := _progress(pieces):
        return progress
    if len([p for p in pieces if p.kind == "word" and p.word in _COMPARED]) == 1:
        return _compared_in_words(pieces)
    try:
        return occurrence_clauses(pieces)
    except Question as question:
        if question.kind is not Kind.MANUAL:
            raise
        raise _guess(pieces, question) from None


def _measured(pieces: list[Piece], inherited: str | None) -> tuple[Clause, ...]:
    first = next(i for i, piece in enumerate(pieces) if piece.kind == "test")
    tests = _tests(pieces)
    test = tests[0].test
    assert test is not None  # noqa: S101 - a test piece holds its test
    before, after = pieces[:first], pieces[first + 1 :]
    if chain := _chained(before, test):
        before, test = chain
    again = next((i for i, p in enumerate(after) if p.kind == "test" and p.text[0] in "=≈"), None)
    if again is not None:  # "2-4 steps/sec = 1-2 days": the same, said in another way
        after, tests = after[:again], tests[:1]
    if before and before[-1].word == "from" and test.op == "between":
        raise _from_to(before, [tests[0], tests[0]], after) or ask(test.doubt or "")
    if incident := _incident(before, after):
        raise incident
    if (
        test.op in {"~=", "between"}
        and (test.unit or "").endswith("B")
        and ({piece.word for piece in before} & EXISTS)
    ):
        return occurrence_clauses(before)  # "adapter saved (~200 MB)": the size is a remark
    if len(tests) == 2 and (changed := _from_to(before, tests, after)):
        raise changed
    if (test.doubt and "→" in tests[0].text) or "->" in tests[0].text:
        raise _from_to(before, [tests[0], tests[0]], after) or ask(test.doubt or "")
    if counted := _counted(before, test, after):
        return counted
    if any(piece.kind == "or" for piece in (*before, *after)):
        raise ask("one or the other: write it as a predicate with `or`", Kind.THRESHOLD,
                  _open(before, test, inherited))  # fmt: skip
    if len(tests) > 1:
        raise ask("two numbers in one test: which one is the bound?", Kind.THRESHOLD,
                  _open(before, test, inherited))  # fmt: skip
    return measured_clauses(before, test, after, inherited=inherited)


def _incident(before: list[Piece], after: list[Piece]) -> Question | None:
    """`Zero corruption events in 1000+ test runs`: the number counts the occasions."""
    words = [piece.word for piece in before]
    if not words or words[0] not in {"no", "zero"} or not set(words) & INCIDENTS:
        return None
    try:
        found = occurrence_clauses(before[:-1] if words[-1] in {"in", "over"} else before)
    except Question as question:
        return question
    return declare("over how many occasions? Log a count", Kind.EVENT_ABSENCE, found)


def _chained(before: list[Piece], test: Test) -> tuple[list[Piece], Test] | None:
    """`0.3 < f1 < 0.95` is a range."""
    if len(before) < 3:
        return None
    numbers = [
        i for i, p in enumerate(before[:-1]) if p.kind == "amount" and before[i + 1].kind == "op"
    ]
    if len(numbers) != 1 or test.op not in {"<", "<="}:
        return None
    place = numbers[0]
    low = before[place].test
    if low is None or before[place + 1].text not in {"<", "<=", "≤"} or low.unit != test.unit:
        return None
    between = replace(test, op="between", value=low.value, value2=test.value)
    rest = [p for p in before[:place] if p.word != "assert"]
    return [*rest, *before[place + 2 :]], between


def _from_to(before: list[Piece], tests: list[Piece], after: list[Piece]) -> Question | None:
    """`Loss decreases from ~3.2 to < 2.0`: a trend between two values."""
    words = {piece.word for piece in (*before, *after)}
    arrow = tests[0] is tests[1]  # one piece that holds both values
    first, last = tests[0].test, tests[1].test
    if first is None or last is None or not (arrow or words & {"from", "initial"}):
        return None
    low = first.value
    high = first.value2 if arrow and first.value2 is not None else last.value
    names = [p.text.strip("`") for p in before
             if p.word not in FALLING | RISING | MODALS | LEADS | REDUCES | IMPROVES | ARTICLES
             | {"from", "to", "of", "smoothly"} and p.kind in {"word", "code"}]  # fmt: skip
    op = "decreasing" if high < low else "increasing"
    clause = Clause(subject=Subject.METRIC, metric=" ".join(names) or None, op=op, value=low,
                    value2=high, unit=last.unit, aggregate="trend")  # fmt: skip
    return declare("from one value to another: by when? Write the bound to be reached, such as "
                   "`loss < 2 by step 2000`", Kind.TREND, (clause,))  # fmt: skip


def _gpus(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """`launched with 8x H100`: how many devices the run has."""
    for position, piece in enumerate(pieces[:-1]):
        device = pieces[position + 1].text
        if piece.kind == "amount" and piece.test is not None and _DEVICE.fullmatch(device):
            if piece.test.unit not in {None, "x"}:
                continue
            clause = Clause(subject=Subject.METRIC, metric="gpu_count", op="==",
                            value=piece.test.value, aggregate="latest", qualifier=None)  # fmt: skip
            raise declare(f"log the number of {device} as gpu_count, or leave it to "
                          "[resources] of the spec", Kind.COUNT_OR_PROGRESS, (clause,))  # fmt: skip
    return ()


def _open(before: Sequence[Piece], test: Test, inherited: str | None) -> tuple[Clause, ...]:
    try:
        return measured_clauses(before, test, (), inherited=inherited)
    except Question as question:
        return question.clauses


def _counted(before: list[Piece], test: Test, after: list[Piece]) -> tuple[Clause, ...]:
    """`At least 3 checkpoint files exist`, `at least 1,500 steps completed`."""
    words = {piece.word for piece in (*before, *after) if piece.kind in {"word", "time"}}
    if words & CHECKPOINTS and words & EXISTS and test.unit is None:
        return (Clause(subject=Subject.CHECKPOINT, metric="checkpoints", op=test.op,
                       value=test.value, tolerance=test.tolerance),)  # fmt: skip
    if words & {"exit"} and words & {"code", "status"}:
        return (Clause(subject=Subject.EXIT, metric="exit_code", op=test.op, value=test.value),)
    return ()


def _reached(pieces: list[Piece]) -> list[Piece]:
    """`accuracy reaches 0.9`: the verb is an operator, its direction that of the metric."""
    result = list(pieces)
    for position in range(len(pieces) - 1):
        verb, number = pieces[position], pieces[position + 1]
        if verb.word not in REACHES or number.kind != "amount" or number.test is None:
            continue
        name = " ".join(p.text for p in pieces[:position])
        if {p.word for p in pieces[:position]} <= TRAINING | RUNS and len(pieces) > position + 2:
            return result
        direction = direction_of(name)
        if direction is None:
            raise ask(f"reached from above or from below? Write {name!r} with < or >")
        op = "<=" if direction == "min" else ">="
        result[position + 1] = replace(number, kind="test", test=replace(number.test, op=op))
    return result


def _progress(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """`Training runs for ~52,000 steps`, `reaches step 45k`, `completed 1000 epochs`."""
    words = {piece.word for piece in pieces if piece.kind == "word"}
    known = TRAINING | RUNS | REACHES | LEADS | MODALS | ARTICLES | words_of(
        "for successfully without full least all of to at"
    )  # fmt: skip
    places = [piece for piece in pieces if piece.moment is not None]
    amounts = [i for i, p in enumerate(pieces[:-1])
               if p.kind == "amount" and pieces[i + 1].kind == "time"]  # fmt: skip
    hazards = [i for i, piece in enumerate(pieces) if piece.word in {"without", "no"}]
    body = pieces[: hazards[0]] if hazards else pieces
    words = {piece.word for piece in body if piece.kind == "word"}
    drives = words & {"trains", "runs", "trained", "completes", "completed"}
    alone = len(amounts) == 1 and words <= {"on", "gpu", "cpu", "gpus"}
    if not alone and (not words & (RUNS | TRAINING | REACHES) or (words - known and not drives)):
        return ()
    if words & (VAGUE | CONDITIONS):
        return ()
    if len(places) == 1 and not amounts and places[0].kind in {"anchor", "moment"}:
        moment = places[0].moment
        assert moment is not None  # noqa: S101 - chosen for it
        prep = moment.prep.split()[0] if moment.prep else ""
        if prep not in {"for", "", "to", "until", "past", "through"} or moment.low != moment.high:
            return ()
        test = Test(op=">=", value=moment.high)
        if moment.about:
            test = Test(op="~=", value=moment.high, tolerance=ABOUT)
        found = progress_clause(moment.unit, test)
    elif len(amounts) == 1 and not places:
        amount = pieces[amounts[0]].test
        assert amount is not None  # noqa: S101 - an amount holds its number
        unit = pieces[amounts[0] + 1].word.split()[-1].rstrip("s")
        unit = {"iter": "iteration", "update": "step"}.get(unit, unit)
        found = progress_clause(unit, replace(amount, op=">="))
    else:
        return ()
    if not hazards:
        return (found,)
    try:
        return (found, *occurrence_clauses(pieces[hazards[0] :]))
    except Question as question:
        raise ask(question.why, Kind.COUNT_OR_PROGRESS, (found, *question.clauses)) from None


# ------------------------------------------------------------------ two metrics
def _compared(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """`Validation loss < training loss`."""
    place = next(i for i, piece in enumerate(pieces) if piece.kind == "op")
    left, right = _phrase(pieces[:place]), _phrase(pieces[place + 1 :])
    op = {"≤": "<=", "≥": ">=", "=": "==", "≦": "<=", "≧": ">="}.get(
        pieces[place].text, pieces[place].text
    )
    return _two(left, op, right)


def _compared_in_words(pieces: Sequence[Piece]) -> tuple[Clause, ...]:
    """`advanced model PR-AUC should exceed baseline PR-AUC`, `eval/acc beats R-000012`."""
    place = next(i for i, piece in enumerate(pieces) if piece.word in _COMPARED)
    verb = pieces[place].word
    left, right = _phrase(pieces[:place]), _phrase(pieces[place + 1 :])
    if verb in {
        "exceed",
        "exceeds",
        "surpass",
        "surpasses",
        "above",
        "higher",
        "greater",
        "larger",
    }:
        op: str | None = ">"
    elif verb in {"below", "under", "lower", "less", "smaller"}:
        op = "<"
    else:
        direction = direction_of(left)
        better = verb not in {"worse"}
        op = None if direction is None else (">" if (direction == "max") == better else "<")
    run = relative_words(right)
    if run is not None and op is not None and is_metric_like(left):
        return (Clause(subject=Subject.METRIC, metric=left, op=op, value=0.0, baseline=run,
                       change="exceeds_by", aggregate="latest"),)  # fmt: skip
    if op is None or not is_metric_like(left) or not is_metric_like(right):
        raise ask("better in which metric, and than what? Name a metric and a run or a bound",
                  Kind.RELATIVE_TO_BASELINE if verb in {"better", "worse"} else Kind.COMPARISON)  # fmt: skip
    return _two(left, op, right)


def _phrase(pieces: Sequence[Piece]) -> str:
    skipped = MODALS | ARTICLES | LEADS | {"than", "that"}
    return " ".join(
        piece.text.strip("`*") for piece in pieces
        if piece.word not in skipped and piece.kind in {"word", "code", "time", "slash", "quoted"}
    )  # fmt: skip


def _two(left: str, op: str, right: str) -> tuple[Clause, ...]:
    words = {word.casefold() for word in (*left.split(), *right.split())}
    clause = Clause(subject=Subject.METRIC, metric=left or None, op=op, other=right or None,
                    aggregate="latest")  # fmt: skip
    kind = Kind.RELATIVE_TO_BASELINE if "baseline" in words else Kind.COMPARISON
    if left and right and is_metric_like(left) and not is_metric_like(right):
        raise declare(
            f"which series holds {right!r}? Declare both under [metrics]", kind, (clause,)
        )
    if not left or not right:
        raise ask("one side of the comparison is missing", kind)
    if words & (VAGUE | CONDITIONS):
        raise ask(f"{min(words & (VAGUE | CONDITIONS))!r} has no measure", kind, (clause,))
    if not is_metric_like(left) or not is_metric_like(right):
        raise ask("which metric of the two is compared?", kind, (clause,))
    if len(right.split()) > 4 or len(left.split()) > 6:
        raise declare("which two series are these? Declare them under [metrics]", kind, (clause,))
    return (clause,)


# ------------------------------------------------------------------ what is left
def _guess(pieces: Sequence[Piece], question: Question) -> Question:
    """The likeliest kind of a claim that no rule reads."""
    amounts = [piece for piece in pieces if piece.kind == "amount" and piece.test is not None]
    if not amounts:
        return question
    test = amounts[0].test
    assert test is not None  # noqa: S101 - chosen for it
    follows = [p.text for p in pieces[pieces.index(amounts[0]) + 1 :] if p.kind in {"word", "time"}]
    metric = " ".join(follows) or _phrase(pieces[: pieces.index(amounts[0])])
    clause = Clause(subject=Subject.METRIC, metric=metric or None, op=">=", value=test.value,
                    unit=test.unit, total=test.total, aggregate="latest")  # fmt: skip
    kind = Kind.COUNT_OR_PROGRESS
    if test.unit in {"h", "min", "days", "s"}:
        kind = Kind.DURATION
    elif test.unit is not None:
        kind = Kind.THRESHOLD
    why = "at least, at most or exactly so many? Write an operator"
    words = {piece.word for piece in pieces}
    first = pieces[0] is amounts[0] and len(amounts) == 1 and follows
    if first and not words & (VAGUE | CONDITIONS) and not any(p.kind == "quoted" for p in pieces):
        return declare(why, kind, (clause,))
    return ask(why, kind, (clause,))
