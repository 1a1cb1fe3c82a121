"""Tests of every series of a family: each, any, or a share of them."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from orchestrator.criteria.judging.binding import in_glob, is_glob, names_of, target_of
from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.folds import Extent, Fold
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.logic import conjunction, disjunction
from orchestrator.criteria.judging.scale import one_unit
from orchestrator.criteria.judging.series import SeriesWatch
from orchestrator.criteria.judging.watching import (
    QuestionError,
    Setting,
    Watch,
    hedged,
    manual,
    open_or,
    without_hedge,
)
from orchestrator.criteria.predicates.expression import (
    Arithmetic,
    Comparison,
    Family,
    Name,
    Pointwise,
    Reduced,
    Scalar,
)
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.series import surest

Make = Callable[[Comparison | Pointwise, Setting], Watch]


class FamilyTest:
    """A `Family` leaf; `make` gives the watch of a member. Raises QuestionError without a glob."""

    def __init__(self, leaf: Family, setting: Setting, make: Make) -> None:
        self._leaf = leaf
        self._setting = setting
        self._make = make
        self._name, self._glob = _family_of(leaf, setting)
        self._members: dict[str, Watch] = {}
        others = {name for name in names_of(leaf.test) if name != self._name}
        self._others = [SeriesWatch(name, setting) for name in others]
        bound = leaf.bound
        value, self._unit = (bound.value, one_unit(bound.unit)) if bound else (1.0, None)
        self._bound = Bound.of(leaf.op, value)

    def wants(self, series: str) -> bool:
        """A member, or a series that every member is compared with."""
        return self._is_member(series) or any(other.wants(series) for other in self._others)

    def _is_member(self, series: str) -> bool:
        return in_glob(series, self._glob)

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """What the member needs; of a series that stands beside all, its points."""
        if self._is_member(series):
            yield from self._member(series).asks(series)
        for other in self._others:
            if other.wants(series):
                yield other.name.ranks, Ask(Extent)

    def _member(self, series: str) -> Watch:
        """The test with one series in the place of the family."""
        if series not in self._members:
            test = _replaced(self._leaf.test, self._name, replace(self._name, text=series))
            bindings = {**self._setting.bindings, series: series}
            self._members[series] = self._make(test, replace(self._setting, bindings=bindings))
        return self._members[series]

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the members logged so far say; another may appear until the run ends."""
        names = sorted(surest(filter(self._is_member, self._setting.board.lanes)))
        if not names:
            return open_or(State.NO_DATA, facts, f"no series matches {self._name.text}")
        members = {name: self._member(name).verdict(facts) for name in names}
        met = sum(verdict.state is State.MET for verdict in members.values())
        whole = self._whole(members, met, facts)
        ranked = _worst_first(members)
        shown = ranked[-1] if self._leaf.quantifier == "any" else ranked[0]
        why = f"{met} of {len(members)} series of {self._name.text} meet it"
        why += f"; {shown}: {without_hedge(members[shown])}"
        if whole.state is State.MET and not whole.final:
            why = hedged(why)
        notes = dict.fromkeys(note for verdict in members.values() for note in verdict.companions)
        return replace(whole, why=why, companions=tuple(notes))

    def _whole(self, members: dict[str, Verdict], met: int, facts: RunFacts) -> Verdict:
        ranked = [members[name] for name in _worst_first(members)]
        if self._leaf.quantifier == "share":
            return self._share(ranked, met, facts)
        if self._leaf.quantifier == "each":
            whole, decided = conjunction(ranked), State.FAILED
        else:
            whole, decided = disjunction(ranked[::-1]), State.MET
        if whole.final and whole.state is not decided and not facts.ended:
            state = State.PENDING if whole.state is State.FAILED else whole.state
            return replace(whole, state=state, final=False)
        return whole

    def _share(self, ranked: list[Verdict], met: int, facts: RunFacts) -> Verdict:
        """The share of all members that meet the test."""
        asked = [verdict for verdict in ranked if verdict.state is State.MANUAL]
        if asked:
            return manual(asked[0].why, final=facts.ended)
        unknown = sum(verdict.state is State.NO_DATA for verdict in ranked)
        share, most = met / len(ranked), (met + unknown) / len(ranked)
        holds = self._bound.test()(share)
        if holds is not self._bound.test()(most):
            why = f"{unknown} of {len(ranked)} series have nothing to judge by"
            return open_or(State.NO_DATA, facts, why)
        state = State.MET if holds else State.FAILED if facts.ended else State.PENDING
        return Verdict(
            state=state,
            final=facts.ended,
            why="",
            value=share,
            margin=self._bound.margin(share),
            unit=self._unit,
            evidence=ranked[0].evidence,
        )


def _worst_first(members: dict[str, Verdict]) -> list[str]:
    """Failures first, of equals the smaller margin, then by name."""
    order = [State.FAILED, State.MANUAL, State.NO_DATA, State.PENDING, State.MET]

    def place(name: str) -> tuple[int, bool, float, str]:
        verdict = members[name]
        margin = verdict.margin
        return (
            order.index(verdict.state),
            not verdict.final,
            0.0 if margin is None else margin,
            name,
        )

    return sorted(members, key=place)


def _family_of(leaf: Family, setting: Setting) -> tuple[Name, str]:
    """The name that stands for the members, and its glob; of several, the first with one."""
    names = list(dict.fromkeys(names_of(leaf.test)))
    globs = list(dict.fromkeys(name for name in names if is_glob(name.text)))
    if len({name.text for name in globs}) > 1:
        raise QuestionError("one test can go through one family only; write a test for each")
    if globs:
        if globs[0].scope is not None:
            raise QuestionError(
                f"write {globs[0].scope!r} into the glob, such as eval/acc/*, not after `on`"
            )
        return globs[0], globs[0].text.casefold()
    for name in names:
        declared = target_of(name, setting.metrics).declared
        if declared is not None and is_glob(declared):
            return name, declared.casefold()
    raise QuestionError("which series? Name the family by a glob such as eval/acc/*")


def _replaced(test: Comparison | Pointwise, old: Name, new: Name) -> Comparison | Pointwise:
    """The test with another name in the place of `old`."""
    if isinstance(test, Pointwise):
        return replace(test, name=replace(new, scope=None))
    right2 = None if test.right2 is None else _in_scalar(test.right2, old, new)
    return replace(
        test,
        left=_in_scalar(test.left, old, new),
        right=_in_scalar(test.right, old, new),
        right2=right2,
    )


def _in_scalar(scalar: Scalar, old: Name, new: Name) -> Scalar:
    if isinstance(scalar, Arithmetic):
        left, right = (_in_scalar(side, old, new) for side in (scalar.left, scalar.right))
        return replace(scalar, left=left, right=right)
    if isinstance(scalar, Reduced) and scalar.name == old:
        return replace(scalar, name=replace(new, scope=None))
    return scalar
