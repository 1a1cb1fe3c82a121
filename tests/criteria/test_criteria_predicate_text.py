"""The canonical text of predicates: every tree of the language survives its text."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.criteria.predicates.expression import (
    Amount,
    Arithmetic,
    Baseline,
    Both,
    CommandResult,
    Comparison,
    Either,
    Family,
    FileExists,
    Free,
    Happened,
    Logged,
    Name,
    Not,
    Number,
    Output,
    Pointwise,
    Reduced,
    Released,
    Trend,
    Window,
    scalars,
)
from orchestrator.criteria.predicates.parse import parse_predicate, predicate_text

_WORDS = """
loss eval/acc pass@1 a.b x s min step best log no all and on p95 rank 2x R-1 eval/acc/* in previous
exit_code k percent nan duration not_a share mean steps hours
"""
_HOW = ["latest", "final", "first", "best", "mean", "median", "min", "max", "count", "p50", "p99.9"]
_PLAIN = st.sampled_from(_WORDS.split())
_TEXTS = _PLAIN | st.text(min_size=1, max_size=8) | st.text('`"\\ .-a', min_size=1, max_size=6)
_UNITS = st.sampled_from([None, "%", "pp", "$", "ms", "min", "h", "x", "it/s", "kB", "a b", "m/s"])
_FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 10**9).map(float)
_SIZES = _FLOATS.map(abs)
_OPERATORS = st.sampled_from([">", ">=", "<", "<=", "==", "!="])
_RANKS = st.sampled_from(["0", "0", "3", "all"])


def _numbers(units=_UNITS, values=_FLOATS):
    return st.builds(lambda value, unit: Number(value=value, unit=unit), values, units)


@st.composite
def _windows(draw, kinds="whole by at after between last"):
    kind = draw(st.sampled_from(kinds.split()))
    units = ["step", "epoch", "iteration", "episode", "s", "min", "h", "days"]
    unit = draw(st.sampled_from([*units, "point"] if kind == "last" else units))
    low, high = sorted(draw(st.lists(_SIZES, min_size=2, max_size=2, unique=True)))
    match kind:
        case "whole":
            return Window()
        case "after":
            return Window(kind="after", low=low, unit=unit)
        case "between":
            return Window(kind="between", low=low, high=high, unit=unit)
    return Window(kind=kind, high=high, unit=unit)


@st.composite
def _names(draw, ranks="0", *, scoped=True):
    scope = draw(st.none() | _TEXTS) if scoped else None
    return Name(text=draw(_TEXTS), scope=scope, ranks=ranks)


@st.composite
def _baselines(draw):
    run = draw(st.sampled_from(["previous", "R-000012", "R-1"]))
    return Baseline(run=run, series=draw(_TEXTS))


def _operands(ranks):
    series = st.builds(
        lambda name, how, window: Reduced(name=name, how=how, window=window),
        _names(ranks),
        st.sampled_from(_HOW),
        _windows(),
    )
    return st.recursive(
        _numbers() | series | _baselines(),
        lambda parts: st.builds(_join, st.sampled_from(["+", "-", "*", "/"]), parts, parts),
        max_leaves=5,
    )


def _join(op, left, right):
    """Arithmetic over two constants is folded, so it is in no tree."""
    if isinstance(left, Number) and isinstance(right, Number):
        return left
    return Arithmetic(op=op, left=left, right=right)


@st.composite
def _bounds(draw, values):
    """The fields op, tolerance and the ends, of which two constants share their unit."""
    op = draw(_OPERATORS | st.sampled_from(["~=", "between"]))
    tolerance = draw(st.sampled_from([0.05, 0.1, 1 / 3])) if op == "~=" else None
    low, high = draw(values), draw(values) if op == "between" else None
    if isinstance(low, Number) and isinstance(high, Number):
        high = Number(value=high.value, unit=low.unit)
    return {"op": op, "tolerance": tolerance}, low, high


@st.composite
def _comparisons(draw):
    operands = _operands(draw(_RANKS))
    left = draw(operands)
    bounds, right, right2 = draw(_bounds(operands))
    sides = [side for side in (left, right, right2) if side is not None]
    assume(not isinstance(left, Number))
    assume(any(isinstance(part, Reduced) for side in sides for part in scalars(side)))
    total = None
    if isinstance(right, Number) and bounds["op"] not in {"~=", "between"}:
        total = draw(st.none() | _SIZES)
    return Comparison(left=left, right=right, right2=right2, total=total, **bounds)


@st.composite
def _pointwise(draw):
    bounds, value, value2 = draw(_bounds(_numbers()))
    mode = draw(st.sampled_from(["all", "any", "hold"]))
    return Pointwise(
        name=draw(_names(draw(_RANKS))),
        value=value,
        value2=value2,
        mode=mode,
        hold=draw(st.integers(1, 10**6)) if mode == "hold" else None,
        window=draw(_windows("whole by after between last")),
        **bounds,
    )


@st.composite
def _families(draw):
    quantifier = draw(st.sampled_from(["each", "any", "share"]))
    test = draw(_comparisons() | _pointwise())
    if quantifier != "share":
        return Family(quantifier=quantifier, test=test)
    bound = draw(_numbers(values=_SIZES))
    return Family(quantifier="share", test=test, op=draw(_OPERATORS), bound=bound)


@st.composite
def _amounts(draw):
    of = draw(st.sampled_from(["step", "checkpoints", "duration", "exit"]))
    units = st.sampled_from(["s", "min", "h", "days"]) if of == "duration" else st.none()
    bounds, value, value2 = draw(_bounds(_numbers(units)))
    return Amount(of=of, value=value, value2=value2, **bounds)


@st.composite
def _of_one_series(draw):
    ranks = draw(_RANKS)
    return draw(
        st.builds(
            Trend,
            name=_names(ranks),
            direction=st.sampled_from(["increasing", "decreasing"]),
            window=_windows("whole by after between last"),
        )
        | st.builds(Logged, name=_names(ranks))
        | st.builds(
            Free,
            hazard=st.sampled_from(["nan", "inf"]),
            series=st.none() | _names(ranks, scoped=False),
        )
    )


_LEAVES = (
    _comparisons()
    | _pointwise()
    | _families()
    | _of_one_series()
    | _amounts()
    | st.builds(Free, hazard=st.sampled_from(["oom", "crash", "error"]))
    | st.builds(Output, text=_TEXTS, absent=st.booleans())
    | st.builds(Happened, event=_TEXTS, absent=st.booleans())
    | st.builds(FileExists, path=_TEXTS)
    | st.builds(CommandResult, command=_TEXTS, prints=st.none() | _TEXTS)
    | st.just(Released())
)


def _joined(parts):
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return (
        st.builds(Both, parts=several)
        | st.builds(Either, parts=several)
        | st.builds(Not, part=parts)
    )


@given(_LEAVES | st.recursive(_LEAVES, _joined, max_leaves=5))
def test_a_tree_survives_its_text(tree):
    """Reading the canonical text of any tree gives the same tree, and the same text again."""
    text = predicate_text(tree)
    assume(len(text) <= 1000)
    assert parse_predicate(text) == tree
    assert predicate_text(parse_predicate(text)) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("BEST( eval/acc )>.5", "eval/acc > 0.5 best"),
        ("mean(loss, last 100 points) < 2", "loss < 2 mean last 100 points"),
        ("min(loss) < 2", "min(loss) < 2"),
        ("2 > loss by 2k steps", "loss < 2 by step 2000"),
        ("loss < 2 any by step 5", "loss < 2 by step 5"),
        ("latest(loss, at step 5) < 2", "loss < 2 at step 5"),
        ("latest(loss, last 5 steps) < 2", "loss < 2 latest last 5 steps"),
        ("best(a) > previous:a", "best(a) > previous:a"),
        ("a > previous:a best", "best(a) > previous:a"),
        ("best(a) > best(b)", "best(a) > best(b)"),
        ("a - b < 2 mean", "mean(a) - mean(b) < 2"),
        ("((a)) + (b * 2) - (c - d) > (1 + 2)", "a + b * 2 - (c - d) > 3"),
        ("-a > -5 percent", "-1 * a > -5%"),
        ("x in 40 .. 60%", "x in 40%..60%"),
        ("x ~ 3 within 5%", "x ~= 3"),
        ("x ≥ 3 s and x=4", "x >= 3 s and x == 4"),
        ("x > 45k", "x > 45000"),
        ("`loss` > 1 on rank 0", "loss > 1"),
        ("loss decreasing last 5 steps", "loss decreasing over last 5 steps"),
        ("((a > 1 and b > 1) or (no NaN))", "a > 1 and b > 1 or no nan"),
        ("Checkpoints >= 1", "checkpoints exist"),
        ("exit_code = 0", "exit code == 0"),
        ("file a.pt exists", "file `a.pt` exists"),
        ("command `pytest -q` passes", 'command "pytest -q" passes'),
        ("r-12:a < previous : b + c", "R-12:a < previous:b + c"),
    ],
)  # fmt: skip
def test_free_spellings_have_one_text(text, canonical):
    """What may be written in several ways is shown back in one, which is a fixed point."""
    assert predicate_text(parse_predicate(text)) == canonical
    assert predicate_text(parse_predicate(canonical)) == canonical
