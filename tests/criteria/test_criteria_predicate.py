"""The predicate language: text to tree, and what is refused with which words."""

import pytest
from hypothesis import example, given
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
)
from orchestrator.criteria.predicates.parse import parse_predicate, predicate_text
from orchestrator.errors import InvalidFileError


def _of(name, how="latest", window=None, **more):
    return Reduced(name=Name(text=name, **more), how=how, window=window or Window())


def _n(value, unit=None):
    return Number(value=value, unit=unit)


def _test(left, op, right, **more):
    return Comparison(left=left, op=op, right=right, **more)


def _join(op, left, right):
    return Arithmetic(op=op, left=left, right=right)


def _points(name, op, value, mode, **more):
    return Pointwise(name=Name(text=name), op=op, value=_n(value), mode=mode, **more)


_LOSS = _of("loss")
_A, _B = _of("a"), _of("b")
_BY_2000 = Window(kind="by", high=2000)
_LAST_100 = Window(kind="last", high=100, unit="point")
_LAST_1000 = Window(kind="last", high=1000)
_ACC_70 = _test(_of("eval/acc/*"), ">", _n(0.7, "%"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("eval/acc > 0.5", _test(_of("eval/acc"), ">", _n(0.5))),
        ("eval/acc > 50% best", _test(_of("eval/acc", "best"), ">", _n(0.5, "%"))),
        ("best(eval/acc) > 0.5", _test(_of("eval/acc", "best"), ">", _n(0.5))),
        ("p95(latency_ms) < 10", _test(_of("latency_ms", "p95"), "<", _n(10))),
        ("mean(loss, last 100 points) < 2", _test(_of("loss", "mean", _LAST_100), "<", _n(2))),
        ("loss < 2 mean last 100 points", _test(_of("loss", "mean", _LAST_100), "<", _n(2))),
        ("loss < 2 mean over last 1e4 steps",
         _test(_of("loss", "mean", Window(kind="last", high=10000)), "<", _n(2))),
        ("max(loss, steps 500..1,000) < 2",
         _test(_of("loss", "max", Window(kind="between", low=500, high=1000)), "<", _n(2))),
        ("latest(loss, by step 9) < 2",
         _test(_of("loss", window=Window(kind="by", high=9)), "<", _n(2))),
        ("loss < 2 by step 2000", _points("loss", "<", 2, "any", window=_BY_2000)),
        ("loss < 2 by 2k steps", _points("loss", "<", 2, "any", window=_BY_2000)),
        ("loss < 2 by epoch 3",
         _points("loss", "<", 2, "any", window=Window(kind="by", high=3, unit="epoch"))),
        ("loss < 2 by 24 hours",
         _points("loss", "<", 2, "any", window=Window(kind="by", high=24, unit="h"))),
        ("loss < 2 at epoch 3",
         _test(_of("loss", window=Window(kind="at", high=3, unit="epoch")), "<", _n(2))),
        ("loss < 2 after step 5000",
         _test(_of("loss", window=Window(kind="after", low=5000)), "<", _n(2))),
        ("loss < 2 all after step 5000",
         _points("loss", "<", 2, "all", window=Window(kind="after", low=5000))),
        ("loss < 2 all by step 2000", _points("loss", "<", 2, "all", window=_BY_2000)),
        ("loss < 2 any", _points("loss", "<", 2, "any")),
        ("acc > 0.8 for 3 consecutive evals", _points("acc", ">", 0.8, "hold", hold=3)),
        ("loss in 2..3", _test(_LOSS, "between", _n(2), right2=_n(3))),
        ("loss in 40..60% all",
         Pointwise(name=Name(text="loss"), op="between", value=_n(0.4, "%"), value2=_n(0.6, "%"))),
        ("loss ~= 2.2", _test(_LOSS, "~=", _n(2.2), tolerance=0.05)),
        ("loss ~= 2.2 within 10%", _test(_LOSS, "~=", _n(2.2), tolerance=0.1)),
        ("grids > 85 of 172", _test(_of("grids"), ">", _n(85), total=172)),
        ("eval/loss < train/loss", _test(_of("eval/loss"), "<", _of("train/loss"))),
        ("0.5 <= acc best", _test(_of("acc", "best"), ">=", _n(0.5))),
        ("a / b < 2.5 x", _test(_join("/", _A, _B), "<", _n(2.5, "x"))),
        ("a - b * 2 < 1",
         _test(_join("-", _A, _join("*", _B, _n(2))), "<", _n(1))),
        ("(a - b) * 2 < 1",
         _test(_join("*", _join("-", _A, _B), _n(2)), "<", _n(1))),
        ("-a < -1", _test(_join("*", _n(-1), _A), "<", _n(-1))),
        ("a < 2 * (ln(1) + sqrt(9) / 4)", _test(_A, "<", _n(1.5))),
        ("acc >= 1.05 * R-000012:eval/acc",
         _test(_of("acc"), ">=",
               _join("*", _n(1.05), Baseline(run="R-000012", series="eval/acc")))),
        ("acc > previous:`my acc`",
         _test(_of("acc"), ">", Baseline(run="previous", series="my acc"))),
        ("each eval/acc/* > 70%", Family(quantifier="each", test=_ACC_70)),
        ("any eval/acc/* > 70%", Family(quantifier="any", test=_ACC_70)),
        ("share(eval/acc/* > 70%) >= 80%",
         Family(quantifier="share", test=_ACC_70, op=">=", bound=_n(0.8, "%"))),
        ("eval/acc on `held-out set` > 0.9",
         _test(_of("eval/acc", scope="held-out set"), ">", _n(0.9))),
        ("a < b + 1 on rank 3",
         _test(_of("a", ranks="3"), "<",
               _join("+", _of("b", ranks="3"), _n(1)))),
        ("loss < 2 all on all ranks",
         Pointwise(name=Name(text="loss", ranks="all"), op="<", value=_n(2))),
        ("pass@1 on evaluation exists", Logged(name=Name(text="pass@1", scope="evaluation"))),
        ("loss increasing over last 1000 steps",
         Trend(name=Name(text="loss"), direction="increasing", window=_LAST_1000)),
        ("loss decreasing", Trend(name=Name(text="loss"), direction="decreasing", window=Window())),
        ("no NaN", Free(hazard="nan")),
        ("no inf in `*loss*`", Free(hazard="inf", series=Name(text="*loss*"))),
        ("no OOM", Free(hazard="oom")),
        ("no crash", Free(hazard="crash")),
        ("no errors", Free(hazard="error")),
        (r'log contains "a \"b\" \\ c  d"', Output(text=r'a "b" \ c  d')),
        ('log lacks "nan"', Output(text="nan", absent=True)),
        ("event eval exists", Happened(event="eval")),
        ("event `my event` absent", Happened(event="my event", absent=True)),
        ("step >= 52,000", Amount(of="step", op=">=", value=_n(52000))),
        ("step ~= 52000 within 10%", Amount(of="step", op="~=", value=_n(52000), tolerance=0.1)),
        ("step in 5..6", Amount(of="step", op="between", value=_n(5), value2=_n(6))),
        ("checkpoints exist", Amount(of="checkpoints", op=">=", value=_n(1))),
        ("checkpoints >= 3", Amount(of="checkpoints", op=">=", value=_n(3))),
        ("duration < 2 hours", Amount(of="duration", op="<", value=_n(2, "h"))),
        ("exit code == 0", Amount(of="exit", op="==", value=_n(0))),
        ("file `weights/best.pt` exists", FileExists(path="weights/best.pt")),
        ("command `pytest -q` passes", CommandResult(command="pytest -q")),
        ('command "pytest -q" prints "OK"', CommandResult(command="pytest -q", prints="OK")),
        ("resources released", Released()),
    ],
)  # fmt: skip
def test_a_test_is_read_as_its_tree(text, tree):
    """Each form of the language has one tree, and its canonical text gives that tree again."""
    assert parse_predicate(text) == tree
    assert parse_predicate(predicate_text(tree)) == tree


_C = {name: _test(_of(name), ">", _n(1)) for name in "abc"}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a > 1 and b > 1 and c > 1", Both(parts=(_C["a"], _C["b"], _C["c"]))),
        ("a > 1 or b > 1 AND c > 1", Either(parts=(_C["a"], Both(parts=(_C["b"], _C["c"]))))),
        ("(a > 1 or b > 1) and c > 1", Both(parts=(Either(parts=(_C["a"], _C["b"])), _C["c"]))),
        ("not a > 1 and b > 1", Both(parts=(Not(part=_C["a"]), _C["b"]))),
        ("Not (a > 1 and not b > 1)", Not(part=Both(parts=(_C["a"], Not(part=_C["b"]))))),
        ("((a > 1))", _C["a"]),
    ],
)
def test_and_binds_tighter_than_or(text, tree):
    """`not` before `and` before `or`; parentheses say otherwise."""
    assert parse_predicate(text) == tree


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("45k", 45_000, None), ("100M", 1e8, None), ("2B", 2e9, None), ("1e-4", 1e-4, None),
        ("1,234,567.5", 1234567.5, None), (".5", 0.5, None), ("12.5%", 0.125, "%"),
        ("2 pp", 0.02, "pp"), ("$2", 2, "$"), ("-$2", -2, "$"), ("10 kB", 10, "kB"),
        ("3 minutes", 3, "min"), ("5 it/s", 5, "it/s"), ("7 `ms per frame`", 7, "ms per frame"),
        ("2 min", 2, "min"), ("2 \u00d7", 2, "x"), ("2 * 3 GB", 6, "GB"), ("6 s / 2 s", 3, None),
    ],
)  # fmt: skip
def test_numbers_and_units(text, value, unit):
    """A percentage is a fraction; one spelling for each unit; any other unit in backticks."""
    tree = parse_predicate(f"x > {text}")
    assert tree == _test(_of("x"), ">", _n(value, unit))
    assert parse_predicate(predicate_text(tree)) == tree


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pass@1", "pass@1"), ("top-5/acc.v2", "top-5/acc.v2"), ("eval/acc/*", "eval/acc/*"),
        ("größe_µ", "größe_µ"), ("best/acc", "best/acc"), ("not_nan", "not_nan"), ("s", "s"),
        ("`and`", "and"), ("`step`", "step"), ("`p95`", "p95"), ("`loss > 3`", "loss > 3"),
        ("`a  b`", "a  b"), ("`🔥 acc`", "🔥 acc"), ("`2x`", "2x"), ("`a``b`", "a`b"),
        ("`-->`", "-->"), ('`"`', '"'),
    ],
)  # fmt: skip
def test_names(text, name):
    """Names hold / @ . * and -; anything stands in backticks, which are written only if needed."""
    tree = parse_predicate(f"{text} > 1")
    assert tree == _test(_of(name), ">", _n(1))
    assert predicate_text(tree) == f"{text} > 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eval/acc >", "after '>' (column 10) a number or a series must follow"),
        ("", "it is empty; a test such as `eval/acc > 0.5` must stand here"),
        ("eval/acc", "after 'eval/acc' (column 1) a comparison such as `> 0.5` or 'exists' must"),
        ("a > 1 and", "after 'and' (column 7) a test such as `eval/acc > 0.5` must follow"),
        ("no foo", "'foo' (column 4) cannot stand after 'no'; expected nan, inf, oom,"),
        ("(a > 1", "after '1' (column 6) ')' must follow"),
        ("a > 1)", "')' (column 6) cannot stand after '1'; expected the end"),
        ("loss < 2 by", "after 'by' (column 10) a moment such as `step 2000` or `2 h` must follow"),
        ("loss < 2 for 3", "after '3' (column 14) 'consecutive' must follow"),
        ("mean(loss, 3) < 2", "'3' (column 12) cannot stand after ','; expected a window such as"),
        ("`abc > 3", "the ` at column 1 is never closed"),
        ('log contains "abc', 'the " at column 14 is never closed'),
        ("0.1 < a < 2", "two bounds are written `x in 0.1..2`"),
        ("a > 0,5", "a decimal is written with a point"),
        ("a > 1 && b > 2", "write 'and'"),
        ("loss < 2 best all", "'best' takes one value of all points, 'all' tests single ones"),
        ("loss < 2 best mean", "at column 15"),
        ("loss < 2 by step 5 by step 6", "at column 20"),
        ("loss < 2 last 5 points", "which value in the window of the test at column 1 counts?"),
        ("a < b best", "with series on both sides (column 1)"),
        ("a < b all", "'all' looks at single points"),
        ("a + b < 2 by step 3", "'by' looks at single points"),
        ("a > 3 of 7 all", "'all' looks at single points"),
        ("a < 2 all at step 3", "has no meaning for the one point of 'at'"),
        ("best(a) < 2 best", "at column 1 find no series to speak of"),
        ("2 < 3", "names no series"),
        ("3 in 2..4", "names no series"),
        ("a > b of 3", "before 'of', at column 5, only a number may stand"),
        ("a ~= 2 within 3", "'within' (column 8) takes a percentage"),
        ("a < 2 within 5%", "'within' (column 7) cannot stand after '2'"),
        ("a in 5%..6", "the ends of the range at column 6 differ in unit"),
        ("a > 1 / 0", "1 / 0 has no finite value"),
        ("a > 1e300 * 1e300", "has no finite value"),
        ("a > ln(0)", "ln at column 5 has no value there"),
        ("a > ln(b)", "at column 8 only a number may stand"),
        ("a > 1 + 5%", "constants with no unit and % cannot be joined by '+'"),
        ("a > 1e999", "'1e999' is beyond every float"),
        ("a > $5 ms", "the number at column 5 has two units"),
        ("a < 2 for 0 consecutive", "0 (column 11) is no whole number from 1 on"),
        ("a < 2 by 5 ms", "ms (column 12) is no unit of time"),
        ("mean(a, steps 5..5) < 2", "the window at column 9 ends before it begins"),
        ("mean(a, last 0 points) < 2", "the window at column 9 is empty"),
        ("a decreasing at step 3", "a trend needs more than the one point of 'at' (column 14)"),
        ("duration < 3", "a duration is compared with a time in s, min, h or days (column 12)"),
        ("step > 3 s", "step is compared with a plain number, without a unit (column 8)"),
        ("step > a", "at column 8 only a number may stand"),
        ('log contains ""', "the text at column 14 is empty"),
        ("__import__('os')", "(column 11) cannot stand after '__import__'"),
        ("loss is decreasing", "'is' (column 6) cannot stand after 'loss'"),
        ("a" * 1001, "its 1,001 characters are more than 1,000"),
        ("(" * 21 + "a > 1" + ")" * 21, "nested deeper than 20 levels"),
        ("not " * 200 + "a > 1", "nested deeper than 20 levels"),
        ("a > " + "(" * 21 + "b" + ")" * 21, "nested deeper than 20 levels"),
        ("a > " + "-" * 900 + "b", "nested deeper than 20 levels"),
        (" or ".join(["a > 1"] * 51), "its 51 tests are more than 50"),
        ("a > " + " + ".join("b" * 50), "a test of 51 operands is longer than 50"),
        (" or ".join(["a<1/3"] * 49).replace("1/3", "1 /3"), "written out in full it has 1,270"),
    ],
)  # fmt: skip
def test_what_is_no_predicate_is_refused_with_its_place(text, message):
    """A refusal names the place and what may stand there; it is never another error."""
    with pytest.raises(InvalidFileError) as caught:
        parse_predicate(text)
    assert message in str(caught.value)
    assert caught.value.hint == "see docs/criteria.md, section Explicit predicates"


def test_the_limits_themselves_are_within_the_language():
    """20 levels and 50 tests are read."""
    assert parse_predicate("(" * 20 + "a > 1" + ")" * 20) == _C["a"]
    assert len(parse_predicate(" or ".join(["a > 1"] * 50)).parts) == 50


_WORDS = """
a loss `x y` 2 50% 3k 1e5 $ -1 > < >= ~= in .. within 10% ( ) + - * / and or not each any all
share( mean( best min p95 by at after step epoch last over steps points 5 h min for consecutive
on rank ranks exists no nan oom file event log contains lacks "t" command passes prints resources
released duration exit code checkpoints increasing previous: R-1: of ln( , `
"""


@given(st.lists(st.sampled_from(_WORDS.split()), max_size=25).map(" ".join) | st.text(max_size=60))
@example("a < 2 mean days 1..2")
def test_any_text_is_read_or_refused(text):
    """Words in any order are a predicate whose text is a fixed point, or an InvalidFileError."""
    try:
        tree = parse_predicate(text)
    except InvalidFileError:
        return
    canonical = predicate_text(tree)
    assert parse_predicate(canonical) == tree
    assert predicate_text(parse_predicate(canonical)) == canonical


@pytest.mark.parametrize(
    "part",
    ["`a", "(", "not ", "-", "1", "1,", "1,000", " ", "a ", "a.", "a-", "*", "é ", '"', '\\"',
     "best ", "mean(", "a > 1 and ", "on rank ", "R-1:", "2 < ", ".", "1e", "by step "],
)  # fmt: skip
def test_repetition_is_refused(part):
    """1,000 characters of anything end in an InvalidFileError."""
    for text in (part * (1000 // len(part)), "a > " + part * (990 // len(part))):
        with pytest.raises(InvalidFileError, match="cannot be read"):
            parse_predicate(text)
