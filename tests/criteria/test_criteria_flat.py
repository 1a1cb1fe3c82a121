"""The flat view of a predicate: one clause a test."""

import pytest

from orchestrator.criteria.predicates.flat import flat
from orchestrator.criteria.predicates.parse import parse_predicate
from orchestrator.domain.criterion import Clause, Subject

_RUN_SUBJECTS = {
    "no oom": (Subject.LOG, "oom", "absent"),
    "event eval exists": (Subject.EVENT, "eval", "exists"),
    "event alert absent": (Subject.EVENT, "alert", "absent"),
    "file `a.pt` exists": (Subject.FILE, "a.pt", "exists"),
    'command "pytest" passes': (Subject.COMMAND, "pytest", "passes"),
    "checkpoints exist": (Subject.CHECKPOINT, "checkpoints", "exists"),
    "resources released": (Subject.RESOURCES, "resources", "released"),
}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("eval/acc > 50% best",
         {"metric": "eval/acc", "op": ">", "value": 0.5, "unit": "%", "aggregate": "best"}),
        ("eval/acc on test > 1",
         {"metric": "eval/acc", "qualifier": "test", "op": ">", "value": 1, "aggregate": "latest"}),
        ("loss in 2..3 ms at epoch 3",
         {"metric": "loss", "op": "between", "value": 2, "value2": 3, "unit": "ms",
          "aggregate": "latest", "anchor": "at epoch 3"}),
        ("loss ~= 2 within 10% mean last 10000 steps",
         {"metric": "loss", "op": "~=", "value": 2, "tolerance": 0.1, "aggregate": "mean",
          "anchor": "over last 10000 steps"}),
        ("max(loss, steps 500..1000) < 2",
         {"metric": "loss", "op": "<", "value": 2, "aggregate": "max",
          "anchor": "steps 500..1000"}),
        ("grids > 85 of 172",
         {"metric": "grids", "op": ">", "value": 85, "total": 172, "aggregate": "latest"}),
        ("eval/loss < train/loss",
         {"metric": "eval/loss", "op": "<", "other": "train/loss", "aggregate": "latest"}),
        ("eval/loss < 2 * mean(train/loss)",
         {"metric": "eval/loss", "op": "<", "other": "2 * mean(train/loss)",
          "aggregate": "latest"}),
        ("a in b..c + 1",
         {"metric": "a", "op": "between", "other": "b..c + 1", "aggregate": "latest"}),
        ("a in 1..b", {"metric": "a", "op": "between", "other": "1..b", "aggregate": "latest"}),
        ("a / best(b) < 2.5 x",
         {"metric": "a / best(b)", "op": "<", "value": 2.5, "unit": "x"}),
        ("a > previous:a",
         {"metric": "a", "op": ">", "baseline": "previous", "aggregate": "latest"}),
        ("a >= 1.05 * R-000012:a",
         {"metric": "a", "op": ">=", "baseline": "R-000012", "change": "times", "value": 1.05,
          "aggregate": "latest"}),
        ("a >= R-000012:a + 2 pp",
         {"metric": "a", "op": ">=", "baseline": "R-000012", "change": "exceeds_by", "value": 0.02,
          "unit": "pp", "aggregate": "latest"}),
        ("loss < 2 by step 2000",
         {"metric": "loss", "op": "<", "value": 2, "aggregate": "any", "anchor": "by step 2000"}),
        ("loss < 2 all after step 5000",
         {"metric": "loss", "op": "<", "value": 2, "aggregate": "all",
          "anchor": "after step 5000"}),
        ("acc > 0.8 for 3 consecutive", {"metric": "acc", "op": ">", "value": 0.8, "hold": 3}),
        ("each eval/acc/* > 70%",
         {"metric": "eval/acc/*", "op": ">", "value": 0.7, "unit": "%", "aggregate": "latest",
          "quantifier": "each"}),
        ("share(eval/acc/* > 0.7) >= 80%",
         {"metric": "eval/acc/* > 0.7", "op": ">=", "value": 0.8, "unit": "%",
          "quantifier": "share"}),
        ("loss decreasing over last 10 points",
         {"metric": "loss", "op": "decreasing", "aggregate": "trend",
          "anchor": "over last 10 points"}),
        ("loss exists", {"metric": "loss", "op": "exists"}),
        ("no nan", {"metric": None, "op": "absent", "unit": "nan", "aggregate": "all"}),
        ("no inf in `*loss*`",
         {"metric": "*loss*", "op": "absent", "unit": "inf", "aggregate": "all"}),
        ('log lacks "x"',
         {"subject": Subject.OUTPUT, "metric": "output", "op": "absent", "other": "x"}),
        ('log contains "x"',
         {"subject": Subject.OUTPUT, "metric": "output", "op": "contains", "other": "x"}),
        ('command "pytest" prints "OK"',
         {"subject": Subject.COMMAND, "metric": "pytest", "op": "prints", "other": "OK"}),
        ("step ~= 52000",
         {"subject": Subject.STEP, "metric": "step", "op": "~=", "value": 52000, "unit": "steps",
          "tolerance": 0.05}),
        ("checkpoints >= 3",
         {"subject": Subject.CHECKPOINT, "metric": "checkpoints", "op": ">=", "value": 3}),
        ("duration in 1..2 h",
         {"subject": Subject.DURATION, "metric": "duration", "op": "between", "value": 1,
          "value2": 2, "unit": "h"}),
        ("exit code == 0",
         {"subject": Subject.EXIT, "metric": "exit_code", "op": "==", "value": 0}),
    ],
)  # fmt: skip
def test_a_test_has_one_clause(text, fields):
    """Each test becomes one clause that holds what was said and nothing else."""
    expected = Clause(**{"subject": Subject.METRIC} | fields)
    assert flat(parse_predicate(text)) == (expected,)


def test_tests_keep_their_order():
    """The clauses of joined tests stand as their tests do, whatever joins them."""
    text = " and ".join(_RUN_SUBJECTS) + " or not (no oom or loss < 2)"
    found = [(clause.subject, clause.metric, clause.op) for clause in flat(parse_predicate(text))]
    more = [_RUN_SUBJECTS["no oom"], (Subject.METRIC, "loss", "<")]
    assert found == [*_RUN_SUBJECTS.values(), *more]
