"""What lines are read as, and which are refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.criteria import parse_predicate, predicate_text, read
from orchestrator.domain.criterion import Decidable, Kind, Subject

TABLE = json.loads((Path(__file__).parent / "readings.json").read_text(encoding="utf-8"))
READ = [(line, predicate) for group in TABLE["read"].values() for line, predicate in group.items()]
DECLARED = list(TABLE["declare"].items())
REFUSED = TABLE["refused"]


@pytest.mark.parametrize(("line", "predicate"), READ, ids=[line for line, _ in READ])
def test_line_is_read_as_its_predicate(line, predicate):
    """A line of a supported form has exactly this canonical predicate and is decidable."""
    reading = read(line)
    assert (reading.predicate, reading.decidable) == (predicate, Decidable.YES), reading.why


@pytest.mark.parametrize("predicate", [text for _, text in READ])
def test_canonical_text_round_trips(predicate):
    """The canonical text of a reading parses, and is written back the same."""
    assert predicate_text(parse_predicate(predicate)) == predicate


@pytest.mark.parametrize(("line", "expected"), DECLARED, ids=[line for line, _ in DECLARED])
def test_line_that_lacks_one_declaration_says_which(line, expected):
    """The test is understood; what must be declared first is asked for."""
    reading = read(line)
    first = reading.clauses[0]
    values = [value for value in (first.value, first.value2) if value is not None]
    found = [str(reading.kind), first.metric, first.change or first.op, *values]
    assert (found, reading.decidable) == (expected, Decidable.DECLARE), reading.why
    assert reading.why


@pytest.mark.parametrize("line", REFUSED)
def test_line_without_one_meaning_is_refused_with_a_reason(line):
    """A vague, relative, conditional or half-read line is never definite and says why."""
    reading = read(line)
    assert reading.decidable in {Decidable.ASK, Decidable.MANUAL}, reading.predicate
    assert reading.why


def test_percentage_is_a_fraction_with_its_unit():
    """0.5% is 0.005 with unit %, not 0.5."""
    (clause,) = read("Validation accuracy > 0.5%").clauses
    assert (clause.value, clause.unit) == (0.005, "%")


def test_steps_carry_their_tolerance():
    """`~52,000 steps` is within 5%; a plain count is a lower bound without tolerance."""
    (about,) = read("Training runs for ~52,000 steps").clauses
    (plain,) = read("Training runs for 1,500 steps").clauses
    assert (about.subject, about.op, about.tolerance) == (Subject.STEP, "~=", 0.05)
    assert (plain.op, plain.value, plain.tolerance) == (">=", 1500, None)


def test_a_fraction_claims_its_denominator_too():
    """`> 85/172` is more than 85, out of 172."""
    (clause,) = read("Perfect grids > 85/172").clauses
    assert (clause.op, clause.value, clause.total) == (">", 85, 172)


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("pass@1 > 5% - pass@1=11.25% at 80%", "pass@1=11.25% at 80%"),
        ("pass@1 > 5% (achieved 11.25%)", "achieved 11.25%"),
        ("GPU utilization > 80% (currently < 20%) ✅", "currently < 20%"),
        ("no NaN ✅", None),
        ("pass@1 > 5% (baseline had 3%)", "baseline had 3%"),
    ],
)
def test_results_are_split_off_before_reading(line, note):
    """What people append as a result is kept as a note and does not change the reading."""
    reading = read(line)
    assert reading.note == note
    assert reading.predicate in {"pass@1 > 5%", "`GPU utilization` > 80%", "no nan"}


@pytest.mark.parametrize(
    "line",
    [
        "accuracy > 90% (averaged over 5 seeds)",
        "accuracy > 90% - only on the hard split",
        "accuracy > 90% (unless it overfits)",
        "accuracy > 90% (median of 3 runs)",
    ],
)
def test_remark_that_changes_the_test_is_asked_about(line):
    """A remark that names another statistic or a condition is never dropped silently."""
    reading = read(line)
    assert reading.decidable is Decidable.ASK
    assert reading.clauses[0].value == 0.9


@pytest.mark.parametrize(
    ("line", "predicate"),
    [
        ("accuracy > 90% (on the validation set)", "accuracy on `validation set` > 90%"),
        ("accuracy > 90% (train)", "accuracy on train > 90%"),
        ("accuracy > 90% (arc1 subset)", "accuracy on `arc1 subset` > 90%"),
        ("accuracy (top-5) > 90%", "`accuracy top-5` > 90%"),
        ("accuracy > 90% (by epoch 3)", "accuracy > 90% by epoch 3"),
    ],
)
def test_remark_that_narrows_the_test_is_read_with_it(line, predicate):
    """Where and when are part of the test, in parentheses too."""
    assert read(line).predicate == predicate


def test_explicit_predicate_wins_over_the_words():
    """A predicate in a comment decides, whatever the line around it says."""
    reading = read("Grid accuracy good enough <!-- exp: eval/grid_acc > 0.5 best -->")
    (clause,) = reading.clauses
    assert reading.decidable is Decidable.YES
    assert (clause.metric, clause.op, clause.value, clause.aggregate) == (
        "eval/grid_acc",
        ">",
        0.5,
        "best",
    )


def test_broken_explicit_predicate_is_asked_about():
    """A predicate that cannot be read is a question, not a reason to read the words instead."""
    reading = read("pass@1 > 5% <!-- exp: pass@1 >> 5 -->")
    assert (reading.decidable, reading.clauses) == (Decidable.ASK, ())
    assert "pass@1 >> 5" in reading.why


def test_several_explicit_predicates_must_all_hold():
    """Two comments on one line are joined, each as a whole."""
    reading = read("good <!-- exp: a > 1 or b > 1 --> <!-- exp: c > 1 -->")
    assert reading.predicate == "(a > 1 or b > 1) and c > 1"


def test_block_markers_of_ours_are_no_predicates():
    """`<!-- exp:begin … -->` marks a block and is not read as a predicate."""
    assert read("pass@1 > 5% <!-- exp:begin evidence -->").predicate == "pass@1 > 5%"


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("OOM errors > 3", "Warning Signs"),
        ("loss > 5", "Red Flags — Stop If:"),
        ("Loss is NaN", "Warning signs"),
        ("❌ loss > 5", None),
        ("Warning: loss > 5", None),
        ("GPU runs out of memory", "Kill criteria"),
    ],
)
def test_alarm_is_no_success(line, heading):
    """A line under an inverted heading, or with a warning sign, is an alarm."""
    assert read(line, heading).polarity == "inverted"


@pytest.mark.parametrize(
    "line",
    ["If BLEU > 30: deploy", "If loss > 5 → stop", "Reduce LR if perplexity > 15",
     "accuracy > 90% → proceed to phase 2", "stop training when loss > 5"],
)  # fmt: skip
def test_rule_is_a_decision_and_no_condition_of_success(line):
    """`if … then …` is read, and marked as conditional: it neither ticks nor gates."""
    reading = read(line)
    assert (reading.polarity, reading.decidable) == ("conditional", Decidable.YES)
    assert len(reading.clauses) == 1


def test_alarm_names_what_must_not_happen():
    """`Loss is NaN` under Warning signs is the condition itself, to be shown red when true."""
    reading = read("Loss is NaN", "Warning signs")
    assert (reading.predicate, reading.decidable) == ("not no nan in `*loss*`", Decidable.YES)
    assert read("Loss is NaN").decidable is Decidable.ASK


def test_alarm_rings_at_any_point():
    """What must not become true is not undone by a better value later."""
    assert read("loss > 5", "Warning signs").predicate == "loss > 5 any"
    assert read("loss > 5 after step 9", "Red flags").predicate == "loss > 5 any after step 9"
    assert read("loss > 5 at step 9", "Red flags").predicate == "loss > 5 at step 9"


@pytest.mark.parametrize(
    ("heading", "predicate"),
    [
        ("Epoch 25", "loss < 5 at epoch 25"),
        ("After 3 epochs", "loss < 5 at epoch 3"),
        ("By step 2,000", "loss < 5 by step 2000"),
        ("Episodes 100-300", "loss < 5 latest episodes 100..300"),
        ("Minimum (1 epoch sonras\u0131)", "loss < 5 at epoch 1"),
        ("Acceptance Criteria", "loss < 5"),
        ("Phase 2 (week 5-8)", "loss < 5"),
    ],
)
def test_heading_with_a_time_anchors_its_lines(heading, predicate):
    """A heading says when; a time in the line itself wins."""
    assert read("loss < 5", heading).predicate == predicate
    assert read("loss < 5 at step 7", heading).predicate == "loss < 5 at step 7"


@pytest.mark.parametrize(
    ("heading", "tier"),
    [("Stretch Goals", "stretch"), ("Nice to have", "nice"), ("Must", "must"), (None, "must"),
     ("Success criteria / Optional", "nice")],
)  # fmt: skip
def test_heading_gives_the_tier(heading, tier):
    """Nice and stretch headings do not gate."""
    assert read("loss < 5", heading).tier == tier


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("loss < 2", Kind.THRESHOLD),
        ("loss in 1..2 <!-- exp: loss in 1..2 -->", Kind.RANGE),
        ("Training runs for 5 steps", Kind.COUNT_OR_PROGRESS),
        ("no NaN", Kind.EVENT_ABSENCE),
        ("Evaluation completes", Kind.EVENT_PRESENCE),
        ("`a/b.pt` exists", Kind.ARTIFACT_EXISTS),
        ("Pathologist approval", Kind.MANUAL),
        ("Loss decreasing", Kind.TREND),
        ("accuracy > 70% for 3 consecutive evals", Kind.TREND),
        ("FID improvement ≥ 30%", Kind.RELATIVE_TO_BASELINE),
        ("val_loss < train_loss", Kind.COMPARISON),
        ("accuracy > 70% for each class", Kind.PER_CLASS),
        ("total time < 2 h", Kind.DURATION),
        ("`pytest -q` passes", Kind.COMMAND_PASSES),
    ],
)
def test_reading_has_a_kind(line, kind):
    """The kind says what sort of claim it is, also where the machine does not judge it."""
    assert read(line).kind is kind


def flaws(reading):
    """What is wrong with a reading, whatever it is of; raises where its predicate cannot parse."""
    found = []
    written = None if reading.predicate is None else parse_predicate(reading.predicate)
    if reading.decidable is not Decidable.YES:
        return [] if reading.why else ["not definite, and gives no reason"]
    if not reading.clauses:
        found.append("definite without a clause")
    if written is None or predicate_text(written) != reading.predicate:
        found.append(f"definite, but its predicate is not canonical: {reading.predicate}")
    return found


@given(st.text(max_size=300), st.text(max_size=60) | st.none())
def test_any_text_has_a_reading(text, heading):
    """No text raises; a definite reading has clauses and a canonical predicate that parses."""
    assert flaws(read(text, heading)) == []


_MIXED = """loss pass@1 > < ≥ 5 5% 1e9 at least no NaN and or , : ( ) ` | - — ± ~ steps training
best by step reports exists <!-- exp: --> 52,000 x.pt is stays each on eval between / → if epoch 3
for consecutive baseline R-000012 of seeds improves every without errors checkpoint saved hours
not decreasing over last first until * . 0.5..2 pp ms 85/172 ∞ 😀 "done" prints"""
_WORDS = st.sampled_from(_MIXED.split())


@given(st.lists(_WORDS, max_size=16).map(" ".join))
def test_any_mixture_of_known_words_has_a_reading(text):
    """Words of the grammar in any order never raise, and a definite reading round-trips."""
    assert flaws(read(text)) == []


@pytest.mark.timeout(60)
def test_hostile_lines_are_refused_in_bounded_time():
    """Lines made to make a parser backtrack are refused, a thousand of them before the timeout."""
    pieces = [
        "- ",
        "`",
        "> 1 ",
        "a ",
        "1",
        "1-",
        "1,",
        "at ",
        "for 3 ",
        "a.b/",
        "~",
        "-1",
        "(",
        "** *",
        "1e",
        "by step ",
        "<!--",
        "",
        " ",
    ]
    lines = [(piece * 900)[:900] for piece in pieces if piece]
    lines.append(("(" * 300 + "a > 1 " * 100)[:900])
    readings = [read(f"{line}{turn}") for turn in range(60) for line in lines]
    assert all(reading.decidable is not Decidable.YES for reading in readings)


def test_overlong_line_is_no_criterion():
    """A line longer than a thousand characters goes to a person without being parsed."""
    assert read("loss < 2 " + "x" * 5000).decidable is Decidable.MANUAL
