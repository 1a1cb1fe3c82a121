"""The page of a rehearsal: everything that a person must read, and nothing that breaks GitHub."""

from dataclasses import replace

import pytest

from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.rehearsal import (
    Forecast,
    PhaseMemory,
    Plan,
    Rehearsal,
    RehearsalKey,
    RehearsalStep,
    StepState,
)
from orchestrator.errors import InvalidFileError
from orchestrator.report.rehearsal import render_rehearsal

GIB = 1024**3
PASSED = RehearsalStep(
    number=1,
    name="training",
    state=StepState.PASSED,
    why="6 optimizer steps in 20 s",
    seconds=20.0,
    budget=600.0,
    details=("0.9 to 1.1 steps a second",),
)
FAILED = RehearsalStep(
    number=5,
    name="resume",
    state=StepState.FAILED,
    why="losses of steps 4 to 6 differ by up to 3.2%: a|b <script>",
    seconds=0.004,
    budget=600.0,
    evidence=(Quote(source="resumed/out.log", line=7, text="api_key=abcdef123456"),),
    action="save and load optimizer.state_dict()",
    log="resumed/out.log",
)
SKIPPED = RehearsalStep(
    number=7,
    name="evaluation alone",
    state=StepState.SKIPPED,
    why="step 4 failed: nothing to read",
    seconds=0.0,
    budget=600.0,
)
FINDING = Finding(
    id="lr-zero",
    severity=Severity.ERROR,
    title="the learning rate is 0",
    evidence=(Quote(source="out.log", line=3, text="lr=0.00e+00"),),
    arithmetic="0 at 6 of 6 steps",
    meaning="nothing is learned",
    action="look at the warm-up",
)
RESULT = Rehearsal(
    ticket="T-0017",
    experiment="experiments/a.toml",
    time=0.0,
    seconds=95.0,
    key=RehearsalKey(code=None, spec="a" * 64, environment="b" * 64, device="c" * 64),
    plan=Plan(
        steps=6,
        every=3,
        examples=32,
        accumulation=1,
        world=1,
        planned_steps=100,
        eval_every=None,
        checkpoint_every=None,
        keep=None,
        grace=30.0,
        tolerance=1e-3,
        budget=600.0,
    ),
    steps=(PASSED, FAILED, SKIPPED),
    forecast=Forecast(
        peaks=(PhaseMemory(phase="eval", device="cuda:0", rank=0, used=84 * GIB, total=80 * GIB),),
        headroom={"cuda:0": -4 * GIB},
        speed=(0.9, 1.1),
        eta=(3600.0, 7200.0),
        hang={"train": 120.0},
        unknown=("costs: set rehearse.cost",),
    ),
    findings=(FINDING,),
)


def page(result=RESULT):
    return render_rehearsal(result).decode()


def test_the_outcome_stands_first_and_names_the_step():
    """Who opens the page sees in one line whether the run may start."""
    assert "\n**❌ Failed at step 5 (resume): 1 passed, 1 failed, 1 skipped.**" in page()
    good = page(replace(RESULT, steps=(PASSED,)))
    assert "**✅ Passed: 1 passed.**" in good
    assert "What was not rehearsed" not in good


def test_each_step_is_a_row_of_four_pipes_at_least():
    """A pipe or a tag in a reason breaks no table and no page."""
    rows = [line for line in page().splitlines() if line.startswith(("| 1 |", "| 5 |", "| 7 |"))]
    assert len(rows) == 3
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)
    assert "a\\|b &lt;script>" in rows[1]
    assert rows[1].endswith("| 0.004 s |")
    assert rows[2].endswith("|  |")  # what was skipped took no time


def test_a_failed_step_is_shown_with_evidence_and_the_next_thing_to_do():
    """Reason, action, quoted line with its place; secrets are taken out."""
    text = page()
    assert "### ❌ failed: step 5, resume" in text
    assert "**Next**: save and load optimizer.state\\_dict()" in text
    assert "- `api_key=<secret>` (`resumed/out.log:7`)" in text
    assert "abcdef123456" not in text


def test_what_is_unknown_or_skipped_has_its_own_heading():
    """Nothing that was not seen looks as if it had been."""
    text = page()
    assert "- **7, evaluation alone**: step 4 failed: nothing to read" in text
    assert "## What is not known\n\n- costs: set rehearse.cost" in text
    assert "GPU-hours" not in text.split("## What is not known")[0]


def test_memory_that_does_not_fit_says_how_much_is_missing():
    """A negative headroom is told in words, unknown amounts are no zeros."""
    row = next(line for line in page().splitlines() if line.startswith("| eval |"))
    assert row == "| eval | `cuda:0` | — | — | 84.0 GiB | 80.0 GiB | 4.0 GiB too little |"


def test_findings_carry_their_arithmetic_and_evidence():
    """What the rules found is on the page as they say it."""
    text = page()
    assert "1. ❌ **the learning rate is 0** (`lr-zero`)" in text
    assert "- `lr=0.00e+00` (`out.log:3`)" in text


def test_the_same_result_gives_the_same_page_without_gaps():
    """A second rendering changes nothing in git; no blank line is doubled."""
    assert page() == page()
    assert "\n\n\n" not in page()
    assert page().endswith("\n")


def test_a_wrong_template_of_the_workspace_is_named(tmp_path):
    """The error names the file, not the tool."""
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "rehearsal.md.j2").write_text("{{ nothing.here }}")
    with pytest.raises(InvalidFileError, match=r"rehearsal\.md\.j2, line 1"):
        render_rehearsal(RESULT, tmp_path)
