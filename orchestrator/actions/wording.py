"""A reading in words, for the person who wrote the line to say yes or no to."""

from collections.abc import Callable

from orchestrator.domain.criterion import Clause, Decidable, Reading, Subject

_OPERATORS = {
    ">": "is above",
    ">=": "is at least",
    "<": "is below",
    "<=": "is at most",
    "==": "is exactly",
    "!=": "is not",
    "~=": "is about",
    "increasing": "rises",
    "decreasing": "falls",
}
_AGGREGATES = {
    None: "the latest value of",
    "latest": "the latest value of",
    "final": "the last value of",
    "first": "the first value of",
    "best": "the best value of",
    "mean": "the mean of",
    "median": "the median of",
    "min": "the smallest value of",
    "max": "the largest value of",
    "count": "the number of points of",
    "all": "every point of",
    "any": "some point of",
}
_CHANGES = {
    "improves_by": "better than",
    "reduced_by": "less than",
    "exceeds_by": "more than",
    "faster_by": "faster than",
    "times": "times",
}
_HAZARDS = {"oom": "out of memory", "crash": "crash", "error": "error"}
_PHASES = {"train": "training ends well", "eval": "evaluation ends well"}


def in_words(reading: Reading) -> str:
    """What must hold, in words; for a line that is not decidable, the question."""
    if reading.decidable is not Decidable.YES or not reading.clauses:
        return reading.why or "a person decides"
    tests = [_clause(clause) for clause in reading.clauses]
    return "; and ".join(test for test in tests if test) or reading.predicate or ""


def _clause(clause: Clause) -> str:
    if clause.subject in _MEASURES:
        unit = clause.unit if clause.subject is Subject.DURATION else None
        return f"{_MEASURES[clause.subject]} {_test(clause, unit=unit)}"
    return _FACTS[clause.subject](clause)


def _checkpoints(clause: Clause) -> str:
    if clause.op == "exists":
        return "a checkpoint exists"
    return f"the number of checkpoints {_test(clause)}"


def _event(clause: Clause) -> str:
    name = clause.metric or ""
    if clause.op == "absent":
        return f"there is no event {name}"
    return _PHASES.get(name, f"there is an event {name}")


def _output(clause: Clause) -> str:
    lacks = "does not contain" if clause.op == "absent" else "contains"
    return f"the log {lacks} {(clause.other or clause.metric)!r}"


def _command(clause: Clause) -> str:
    prints = f" and prints {clause.other!r}" if clause.other else ""
    return f"the command {clause.metric} passes{prints}"


def _metric(clause: Clause) -> str:
    name = clause.metric or "any series"
    if clause.qualifier:
        name += f" on {clause.qualifier}"
    if clause.op == "exists":
        return f"{name} has a value"
    if clause.op == "absent":
        return f"no point of {name} is {clause.unit or 'there'}"
    what = f"{_aggregate(clause.aggregate)} {name}"
    if clause.quantifier in {"each", "any"}:
        what = f"for {clause.quantifier} series {name}, {_aggregate(clause.aggregate)} it"
    elif clause.quantifier == "share":
        what = f"the share of series {name} that meet it"
    elif clause.hold or clause.op in {"increasing", "decreasing"}:
        what = name
    text = f"{what} {_test(clause, unit=clause.unit)}"
    if clause.hold:
        text += f", {clause.hold} points in a row"
    return f"{text}, {clause.anchor}" if clause.anchor else text


def _aggregate(name: str | None) -> str:
    if name is not None and name.startswith("p") and name[1:].isdecimal():
        return f"the {name[1:]}th percentile of"
    return _AGGREGATES.get(name, f"the {name} of")


def _test(clause: Clause, *, unit: str | None = None) -> str:
    if clause.op == "between":
        low, high = amount(clause.value, unit), amount(clause.value2, unit)
        return f"is between {low} and {high}"
    words = _OPERATORS.get(clause.op, clause.op)
    if clause.op in {"increasing", "decreasing"}:
        return words
    bound = clause.other if clause.other is not None else amount(clause.value, unit)
    if clause.total is not None:
        bound += f" of {clause.total:,.15g}"
    if clause.op == "~=" and clause.tolerance is not None:
        bound += f" (within {clause.tolerance:.0%})"
    if clause.baseline and clause.value is None and clause.other is None:
        return f"{words} that of {clause.baseline}"
    if clause.change:
        return f"{words} {bound} {_CHANGES.get(clause.change, clause.change)} {clause.baseline}"
    return f"{words} {bound}" + (f" of {clause.baseline}" if clause.baseline else "")


def amount(value: float | None, unit: str | None) -> str:
    """A bound as people write it: 5%, 52,000, 0.5 ms."""
    if value is None:
        return "?"
    if unit == "%":
        return f"{value * 100:.6g}%"
    text = f"{value:,.15g}" if abs(value) < 1e15 else f"{value:.6g}"
    return f"{text} {unit}" if unit else text


_MEASURES = {
    Subject.STEP: "the largest step",
    Subject.DURATION: "the run's time",
    Subject.EXIT: "the exit code",
}
_FACTS: dict[Subject, Callable[[Clause], str]] = {
    Subject.METRIC: _metric,
    Subject.CHECKPOINT: _checkpoints,
    Subject.FILE: lambda clause: f"a file {clause.metric} exists",
    Subject.EVENT: _event,
    Subject.LOG: lambda clause: f"no log shows {_HAZARDS.get(clause.metric or '', clause.metric)}",
    Subject.OUTPUT: _output,
    Subject.COMMAND: _command,
    Subject.RESOURCES: lambda _clause: "no process of the run is left",
}
