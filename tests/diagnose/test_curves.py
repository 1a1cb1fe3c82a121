"""Sick curves raise their findings, and healthy ones none."""

import random
from dataclasses import replace

import pytest
from diagnose.cases import found
from diagnose.curves import HEALTHY
from diagnose.shapes import begun
from diagnose.sick import SICK

from orchestrator.diagnose.findings import diagnose

SEEDS = 12
HONEST = {"not-learning", "collapse"}  # true of a run that has not learned anything so far


def made(kind, seed):
    return kind(random.Random(f"{kind.__name__} {seed}"))


def test_there_are_enough_kinds():
    """At least forty kinds, no name twice."""
    names = [kind.__name__ for kind in (*HEALTHY, *SICK)]
    assert len(names) == len(set(names)) >= 40


@pytest.mark.parametrize("kind", SICK, ids=lambda kind: kind.__name__)
def test_a_fault_raises_its_finding_and_no_other(kind):
    """Whatever the noise, exactly the finding of the fault."""
    for seed in range(5):
        assert found(diagnose(made(kind, seed))) == SICK[kind], seed


@pytest.mark.parametrize("kind", SICK, ids=lambda kind: kind.__name__)
def test_a_finding_says_what_where_and_what_to_do(kind):
    """One line of title and arithmetic with numbers in them, places as evidence, an action."""
    for finding in diagnose(made(kind, 0)):
        assert "\n" not in finding.title + finding.arithmetic
        assert any(char.isdigit() for char in finding.arithmetic)
        assert len(finding.title) < 140
        assert finding.action
        assert finding.meaning
        assert all(quote.source and quote.text for quote in finding.evidence)
        assert any(quote.line for quote in finding.evidence)


@pytest.mark.parametrize("kind", SICK, ids=lambda kind: kind.__name__)
def test_a_finding_that_the_spec_ignores_is_not_made(kind):
    """`[findings] ignore` holds for each of these."""
    case = made(kind, 0)
    names = tuple({key.partition(":")[0] for key in SICK[kind]})
    limits = replace(case.thresholds, ignore=names)
    assert diagnose(replace(case, record=replace(case.record, findings=limits))) == ()


def test_healthy_curves_are_left_in_peace():
    """At most 2% of healthy runs have a finding."""
    cases = [(kind, seed) for kind in HEALTHY for seed in range(SEEDS)]
    raised = [(kind.__name__, seed) for kind, seed in cases if diagnose(made(kind, seed))]
    assert len(cases) >= 400
    assert len(raised) <= 0.02 * len(cases), raised


def test_healthy_curves_are_left_in_peace_while_they_run():
    """Cut off anywhere at most 2%, but for what is true of a run that has not learned yet."""
    rng = random.Random(7)
    cases = [begun(made(kind, seed), rng) for kind in HEALTHY for seed in range(SEEDS)]
    raised = [found(diagnose(case)) for case in cases]
    wrong = [keys for keys in raised if {key.partition(":")[0] for key in keys} - HONEST]
    assert len(wrong) <= 0.02 * len(cases), wrong
