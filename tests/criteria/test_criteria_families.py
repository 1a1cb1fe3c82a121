"""Families of series: each, any, a share of them."""

import pytest

from orchestrator.criteria import Judge
from orchestrator.domain.criterion import State
from orchestrator.domain.run import MetricSpec


def _state(verdict):
    return verdict.state, verdict.final


@pytest.fixture
def members(point):
    return [point(f"eval/acc/{name}", 1, value) for name, value in _ACC.items()]


_ACC = {"cat": 0.9, "dog": 0.6, "owl": 0.75}


def test_each_needs_every_member(judged, members):
    """`each` is as bad as its worst member, which is the evidence; met only at the end."""
    met = judged("each eval/acc/* > 0.5", members)
    assert _state(met) == (State.MET, False)
    assert _state(judged("each eval/acc/* > 0.5", members, ended=True)) == (State.MET, True)
    failed = judged("each eval/acc/* > 0.7", members, ended=True)
    assert (failed.state, failed.evidence.text) == (State.FAILED, "eval/acc/dog = 0.6 at step 1")
    assert failed.why.startswith("2 of 3 series of eval/acc/* meet it; eval/acc/dog: 0.6 is not")


def test_each_fails_for_good_with_one_member(judged, members):
    """A member that can never meet it any more decides at once."""
    assert _state(judged("each eval/acc/* > 0.7 all", members)) == (State.FAILED, True)
    assert _state(judged("each eval/acc/* > 0.7", members)) == (State.PENDING, False)
    assert _state(judged("each eval/acc/* > 0.5 best", members)) == (State.MET, False)


def test_any_is_met_for_good_by_one_member(judged, members):
    """One member is enough for `any`; that none does is known at the end."""
    met = judged("any eval/acc/* > 0.8 best", members)
    assert (*_state(met), met.value) == (State.MET, True, 0.9)
    assert _state(judged("any eval/acc/* > 0.95 all", members)) == (State.PENDING, False)
    assert _state(judged("any eval/acc/* > 0.95 all", members, ended=True)) == (State.FAILED, True)


def test_share_compares_the_number_of_members(judged, members):
    """Two of three is 66.7%; the margin is in the share's unit."""
    predicate = "share(eval/acc/* > 0.7) >= {}%"
    met = judged(predicate.format(60), members)
    assert _state(met) == (State.MET, False)
    assert met.value == pytest.approx(2 / 3)
    assert met.margin == pytest.approx(2 / 3 - 0.6)
    assert judged(predicate.format(70), members).state is State.PENDING
    assert _state(judged(predicate.format(70), members, ended=True)) == (State.FAILED, True)


def test_a_family_without_members_has_no_data(judged, point):
    """Nothing that matches is pending, and no data at the end."""
    assert judged("each eval/acc/* > 0.5").state is State.PENDING
    assert _state(judged("each eval/acc/* > 0.5", ended=True)) == (State.NO_DATA, True)


def test_a_share_is_open_while_members_without_a_value_could_turn_it(judged, members, point):
    """Every member needs a point where the test looks."""
    late = [*members, point("eval/acc/cat", 9, 0.9)]
    assert (
        judged("each max(eval/acc/*, after step 5) > 0.5", late, ended=True).state is State.NO_DATA
    )
    share = judged("share(max(eval/acc/*, after step 5) > 0.5) >= 50%", late, ended=True)
    assert share.state is State.NO_DATA
    share = judged("share(max(eval/acc/*, after step 5) > 0.5) >= 20%", late, ended=True)
    assert (share.state, share.value) == (State.MET, pytest.approx(1 / 3))


def test_members_are_compared_with_a_series_beside_them(judged, members, point):
    """The series without a glob is the same for every member, whenever it was logged."""
    for records in ([*members, point("base", 1, 0.7)], [point("base", 1, 0.7), *members]):
        verdict = judged("each eval/acc/* > base", records, ended=True)
        assert verdict.state is State.FAILED
        assert verdict.margin == pytest.approx(-0.1)
        assert judged("any max(eval/acc/*) > max(base)", records, ended=True).state is State.MET


def test_a_family_is_named_by_a_glob(judged, members):
    """Words name a family only where a declared key is a glob; else the question is asked."""
    asked = judged("each accuracy > 0.5", members)
    assert asked.state is State.MANUAL
    assert asked.why == "which series? Name the family by a glob such as eval/acc/*"
    metrics = {"accuracy": MetricSpec(key="eval/acc/*")}
    assert judged("each accuracy > 0.5", members, metrics=metrics).state is State.MET
    bare = judged("eval/acc/* > 0.5", members)
    assert bare.why == "eval/acc/* names several series: write each, any or share before it"
    two = judged("each eval/acc/* > train/acc/*", members)
    assert "one family only" in two.why


def test_case_does_not_matter_in_a_glob_and_other_series_are_not_wanted(criterion, judged, point):
    """Globs match without regard to case, and nothing else is asked for."""
    judge = Judge([criterion("each Eval/Acc/* > 0.5")], {})
    assert judge.wants("eval/acc/cat")
    assert not judge.wants("train/acc/cat")
    assert judged("each Eval/Acc/* > 0.5", [point("eval/ACC/x", 1, 0.6)]).state is State.MET
