"""How well readings agree with labelled lines; the labels are those of criteria/dev.jsonl."""

import json
import re
from dataclasses import dataclass, field

from orchestrator.criteria import read
from orchestrator.domain.criterion import Decidable

_SYMBOL = re.compile(r">=|<=|==|!=|~=|>|<|between")
_EXISTENCE = {"exists", "deleted", "released", "triggered"}
_UNTESTED = {"absent", "is_finite", "contains", *_EXISTENCE}
_SAME = {"val": "eval", "validation": "eval", "accuracy": "acc", "training": "train"}


@dataclass
class Score:
    """Counts over labelled lines, and the lines that must not be there."""

    lines: int = 0
    kinds: int = 0
    decidable: int = 0
    definite: int = 0
    declared: int = 0
    numbers: int = 0  # labels with a number
    given: int = 0  # readings with a number on such a line
    right: int = 0  # … with the label's operator and value
    named: int = 0  # … and its metric
    guessed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        """Share of decidable lines read, whole or but for one declaration."""
        return (self.definite + self.declared) / self.decidable

    def __str__(self) -> str:
        return (
            f"{self.lines} lines: kind {self.kinds / self.lines:.0%}; operator and value: "
            f"precision {self.right / self.given:.0%}, recall {self.right / self.numbers:.0%}, "
            f"with the metric {self.named / self.numbers:.0%}; definite on open questions "
            f"{len(self.guessed)}, wrong {len(self.wrong)}; of {self.decidable} decidable "
            f"{self.definite / self.decidable:.0%} definite, "
            f"{self.coverage:.0%} with those that name one missing declaration"
        )


def score(path):
    """Read every line of a file of labels."""
    total = Score()
    for line in path.read_text(encoding="utf-8").splitlines():
        _add(total, json.loads(line))
    return total


def _add(total, row):
    reading, label = read(row["line"], row.get("heading")), row["reading"]
    total.lines += 1
    total.kinds += reading.kind == row["kind"]
    definite = reading.decidable is Decidable.YES
    if row["kind"] == "manual" or "ambiguity" in label:
        if definite:
            total.guessed.append(f"{row['line']} → {reading.predicate}")
        return
    total.decidable += 1
    total.definite += definite
    total.declared += reading.decidable is Decidable.DECLARE
    right = _agrees(total, reading, label)
    if definite and not right:
        total.wrong.append(f"{row['line']} → {reading.predicate}")


def _agrees(total, reading, label):
    op = (label.get("op") or "").removeprefix("count ")
    if op in _UNTESTED:
        wanted = "absent" if op in {"absent", "is_finite"} else op
        ops = {clause.op for clause in reading.clauses}
        return bool(ops & (_EXISTENCE if wanted in _EXISTENCE else {wanted}))
    if not _numeric(label.get("value")):
        return True
    total.numbers += 1
    tests = [_test(clause) for clause in reading.clauses if _test(clause) is not None]
    total.given += bool(tests)
    found = [metric for metric, sign, value in tests if _same(sign, value, op, label)]
    total.right += bool(found)
    total.named += any(_tokens(name) & _tokens(label.get("metric")) for name in found)
    return bool(found)


def _numeric(value):
    return isinstance(value, list | int | float) and not isinstance(value, bool)


def _test(clause):
    """(metric, operator, value or values); a command that passes has exit code 0."""
    if clause.op == "passes":
        return ("exit_code", "==", 0)
    if clause.value is None:
        return None
    value = clause.value if clause.value2 is None else [clause.value, clause.value2]
    return (clause.metric or "", clause.op, value)


def _same(sign, value, op, label):
    symbol = _SYMBOL.search(op)
    wanted = label["value"]
    pairs = zip(value, wanted, strict=False) if isinstance(value, list) and isinstance(
        wanted, list) else [(value, wanted)]  # fmt: skip
    equal = all(_numeric(a) and _numeric(b) and not isinstance(a, list) and not isinstance(b, list)
                and abs(a - b) <= 0.01 * abs(b) for a, b in pairs)  # fmt: skip
    about = sign == "~=" and "approx" in str(label)
    return equal and (symbol is None or sign == symbol[0] or about)


def _tokens(name):
    found = re.findall(r"[a-z0-9]+", str(name).casefold())
    return {_SAME.get(token, token) for token in found}
