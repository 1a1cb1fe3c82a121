import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.finding import Finding, KnownFinding, Quote, Severity
from orchestrator.domain.progress import Progress
from orchestrator.domain.run import RunStatus
from orchestrator.report import (
    MetricFacts,
    Moment,
    Sample,
    metric_facts,
    notes_of,
    render_report,
)
from orchestrator.report.changes import FileChange

ROOT = Path(__file__).resolve().parents[2]


def page_of(facts):
    return render_report(facts)["report.md"].decode()


def section(page, title):
    """Text of one `##` section."""
    return page.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def test_same_facts_same_bytes(rich):
    """Rendering twice gives the same bytes of the page and of every curve."""
    assert render_report(rich) == render_report(rich)


def test_same_bytes_in_another_process(rich, tmp_path):
    """Another process with another hash seed and locale renders the same bytes."""
    script = (
        "import hashlib, importlib.util, pathlib, sys\n"
        "sys.path.append(str(pathlib.Path(sys.argv[1]).parents[1]))\n"
        "spec = importlib.util.spec_from_file_location('facts_of_tests', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "from orchestrator.report import render_report\n"
        "for name, content in render_report(module.rich_facts()).items():\n"
        "    print(name, hashlib.sha256(content).hexdigest())\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).with_name("conftest.py"))],
            env={"PATH": "", "PYTHONHASHSEED": seed, "TZ": zone, "HOME": str(tmp_path)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    ]
    assert said[0] == said[1]
    assert said[0].count("\n") == 4


def test_every_fact_appears(rich):
    """Each fact of a rich run is somewhere on the page, with its step and source."""
    page = page_of(rich)
    for expected in (
        "# T-0017 status: Run 5% validation training, pass@1 > 5%",
        "**Running.** 1 of 6 required criteria met, 1 pending, 1 failed, 1 no data, 1 for a person",
        "2025-12-22 04:09:00 UTC",
        "[T-0017](../../../../tickets/T-0017.md) ONGOING · VERIFYING",
        "`R-000042`, attempt 2",
        "`9f1c2ab7d3` on `validation/5pct`, with local changes, 2 untracked",
        "41,960 of 51,905 steps (80.8%)",
        "running for 8 h 20 min, time left 1 h 31 min to 1 h 41 min",
        "1.721 steps/s (median",
        "12.3% of the time",
        "11.25% at step 41,444, up from 0.88% at step 10,361, target > 5%",
        "**Process**: 1552427 on `<host>`",
        "`.exp/runs/R-000042/attempt-2/out.log`",
        "✅ met so far",
        "+6.25 pp",
        "⏳ pending",
        "-7,440 steps",
        "❌ failed",
        "❔ no data",
        "🙋 needs a person",
        " waived",
        "_(nice to have)_",
        "events-<host>-0-811.jsonl:2077",
        "The evaluation ran before the checkpoint was saved.",
        "step 41,960 loss 0.52",
        "1 of 2,098 points not finite",
        "@ 30,641",
        "2025-12-21 21:31:10 | 10,361 | evaluation failed: exit code 1",
        "| 1 | 2025-12-21 19:49:00 | 1 h 42 min | 1 to 10,361 | exit code 1 in eval |",
        "| 10,361 | `checkpoints/step_10361` | 360.0 MiB | 3 |",
        "**broken**",
        "GPU memory: no telemetry was written",
        "`T-0018` waits for this ticket: Full training on 8 GPUs",
        "Compare with the 10% run",
        "`experiments/urm/validation-5pct.toml`",
        "`python train.py --epochs 10000`",
        "`gpus 8, gpu H100, memory 512 GiB`",
        "`1234`",
        "| `data.name` | `arc1concept-aug-100` |",
        "| `lr` | `0.0003` |",
        "| `betas` | `0.9, 0.95` |",
        "## Changes since R-000041 (`1a2b3c4d5e`)",
        "| `evaluators/arc.py` | changed | +12 -3 |",
        "| `warmup` | — | `467` |",
        "| `eval/pass@1` | 11.25% @ 41,444 | 3.12% @ 20,722 | +8.13 pp |",
        "| 0: NVIDIA H100 80GB HBM3 | 61.2 GiB of 79.6 GiB, peak 70.1 GiB | 97%, median 95% |",
        "97% busy (median 95%), memory peak 70.1 GiB of 79.6 GiB",
        "8 h 19 min, 66.7 GPU-hours, 166.75 EUR",
        "66.7% of 100 GPU-hours",
        "evaluation at step 51,805: in 1 h 31 min to 1 h 41 min, 2025-12-22 05:40 to 05:50 UTC",
        "no better than that",
        "| 0 | 99.94% | 146,289 |",
        "| `feature` | 41.22 | — | 43% | 10% | 4.3× |",
        "| in no named term | 39.32 | — | 41% |",
        "| `loss` | 15.5 @ 41,941 | 95.86 @ 41,444 | 6.18× |",
        "| step 52,400 | 51,700 to 53,300 | no | Theil-Sen",
        "**Parameters**: 44,100,000",
        "“save before you evaluate” <sub>lesson, Ada, 2025-12-21 21:45:41</sub>",
        "I trust this **one**.",
        "exp run logs -f R-000042",
        "exp ticket show T-0017",
    ):
        assert expected in page, expected
    assert "T-0019" not in page, "a dependent that is done waits for nothing"


def test_curves_are_embedded(rich):
    """Every image of the page is a file beside it, and every file is on the page."""
    files = render_report(rich)
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", files["report.md"].decode())
    assert sorted(shown) == sorted(set(files) - {"report.md"})
    assert shown[0] == "curves-pass-k.svg", "what a criterion asks for comes first"


def test_run_without_any_point(bare):
    """A run that has logged nothing renders whole: no None, no empty cell, no empty section."""
    files = render_report(bare)
    page = files["report.md"].decode()
    assert set(files) == {"report.md"}
    assert "no step recorded yet" in page
    _assert_whole(page)


def test_ticket_that_was_never_started(bare):
    """A ticket without a run says so and names the command that starts it."""
    page = page_of(replace(bare, run=None, git=None, criteria=()))
    assert "**Not started.**" in page
    assert "no criterion" not in page  # it has some, and no run has judged them
    assert "no repository" not in page
    assert "exp ticket start T-0001" in page
    assert "## Current status" not in page
    _assert_whole(page)


def test_crash_before_the_first_step(crashed):
    """A run that died early shows the reason, the last lines of its log, and what to do."""
    page = page_of(crashed)
    assert "**Failed.** Exit code 1 in train. 0 of 1 required criteria met, 1 no data" in page
    assert "ImportError: no module named torch" in section(page, "What happened")
    assert "no point of pass@1 was logged" in section(page, "What is not known")
    assert "exp run logs R-000001" in page
    assert "exp run stop" not in page
    _assert_whole(page)


def _assert_whole(page):
    page = re.sub(r"^```text\n.*?^```$", "(log)", page, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"[ \t]$", page, re.MULTILINE), "a trailing space"
    assert "None" not in page
    assert "nan" not in page
    assert "\n\n\n" not in page
    assert not re.search(r"\|[ \t]*\|(?!-)", page), "an empty cell"
    assert not re.search(r"^## [^\n]+\n+(?=## |\Z)", page, re.MULTILINE), "an empty section"
    assert not re.search(r"\*\*: *$", page, re.MULTILINE), "an empty line of facts"


@pytest.mark.parametrize("name", ["rich", "bare", "crashed"])
def test_tables_are_whole(name, request):
    """Every row of a table has as many cells as its head, as GitHub splits them."""
    page = page_of(request.getfixturevalue(name))
    width = 0
    for line in page.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.split(r"(?<!\\)\|", line)) - 2
        width = width or cells
        assert cells == width, line
    _assert_whole(page)


def _finding(text):
    """An open finding that says the same everywhere."""
    return KnownFinding(
        finding=Finding(
            id="x",
            severity=Severity.WARN,
            title=text,
            evidence=(Quote(source=text, text=text),),
            arithmetic=text,
            meaning=text,
            action=text,
        ),
        opened=1.0,
        seen=2.0,
    )


def test_foreign_text_stays_in_its_cell(rich):
    """Pipes, line ends, tags and markers in names, reasons and logs stay text."""
    nasty = "a | b\n| c |\n## Heading <script>x</script> <!-- exp:notes --> `tick` *star*"
    facts = replace(
        rich,
        ticket=replace(rich.ticket, title=nasty, status=nasty),
        timeline=(Moment(time=0.0, text=nasty),),
        findings=(_finding(nasty), replace(_finding(nasty), closed=9.0)),
        metrics=(metric_facts(nasty, [(1, 1.0), (2, 2.0)]),),
        configuration={nasty: nasty},
        next_steps=(nasty,),
        unknown=(nasty,),
        log_tail=("```", "<!-- exp:notes -->", "# not a heading", "\x1b[31mred\x1b[0m"),
    )
    page = page_of(facts)
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", page, flags=re.DOTALL | re.MULTILINE)
    outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", outside)
    assert "<script>" not in outside
    assert len(re.findall(r"^## Heading", page, re.MULTILINE)) == 0
    assert "\x1b" not in page
    assert notes_of(page.encode()) == rich.notes
    for line in page.splitlines():
        if line.startswith("| `a"):
            assert len(re.split(r"(?<!\\)\|", line)) in {4, 5, 8, 10}, line


def test_progress_is_never_rounded_up(bare):
    """One step before the end is not 100%, and more steps than planned do not break the bar."""
    almost = replace(bare, progress=Progress(step=51_904, planned=51_905))
    assert "(99.9%)" in page_of(almost)
    beyond = replace(bare, progress=Progress(step=120, planned=100))
    assert "120 of 100 steps (120%)" in page_of(beyond)


def test_unknown_is_said(bare):
    """What is not known is called unknown, never zero."""
    page = page_of(replace(bare, run=replace(bare.run, status=RunStatus.RUNNING)))
    assert "running for unknown, time left unknown" in page
    assert " 0 " not in section(page, "Current status")


def test_ended_run_has_no_time_left(rich):
    """A run that has ended tells how long it ran and offers no command to stop it."""
    run = replace(rich.run, status=RunStatus.ENDED, why="stopped by Ada", ended=rich.time)
    page = page_of(replace(rich, run=run))
    assert "took 8 h 20 min" in page
    assert "time left" not in page
    assert "**Process**" not in page
    assert "run again: “Training runs for ~52,000 steps”" in page


def test_latest_value_that_is_not_finite(bare):
    """A metric whose latest value is NaN says NaN."""
    metric = metric_facts("train/loss", [(1, 2.0), (2, math.nan)])
    page = page_of(replace(bare, metrics=(metric,)))
    assert "| `train/loss` (1 of 2 points not finite) | NaN @ 2 | — | 2 @ 1 | 2 @ 1 | ▁× |" in page


def test_metric_of_one_point_is_in_the_table_only(bare):
    """One value is a row of the table, not a curve."""
    one = MetricFacts(name="pass@1", latest=Sample(step=7, value=0.5), points=1)
    files = render_report(replace(bare, metrics=(one,)))
    assert set(files) == {"report.md"}
    assert "| `pass@1` | 0.5 @ 7 | — | — | — | — |" in files["report.md"].decode()


def test_long_lists_are_cut_and_counted(rich):
    """A long timeline and many changed files are cut, and what is left out is counted."""
    timeline = tuple(Moment(time=float(n), text=f"moment {n}.") for n in range(500))
    changes = replace(
        rich.changes,
        since=replace(rich.changes.since, time=10.0),
        files=tuple(FileChange(path=f"file{n}.py", how="M") for n in range(75)),
    )
    page = page_of(replace(rich, timeline=timeline, changes=changes))
    assert "moment 9." not in page
    assert "… 10 earlier …" in page
    assert "moment 10." in page
    assert "moment 499." in page
    assert "… 450 more …" in page
    assert "moment 250." not in page
    assert "and 45 more files" in page


def test_many_parameters_are_folded(rich):
    """A long configuration is folded away, with its size in the summary."""
    page = page_of(replace(rich, configuration={f"p{n}": n for n in range(40)}))
    assert "<details><summary>40 parameters</summary>\n\n| Parameter | Value |" in page
    assert page.count("<details>") == page.count("</details>") == 1
    assert "<details>" not in page_of(rich)


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_readable(rich, state):
    """Each state of a verdict has a sign and a word."""
    verdict = Verdict(state=state, final=True, why="because")
    facts = replace(rich, criteria=(replace(rich.criteria[0], verdict=verdict),))
    row = section(page_of(facts), "Criteria").strip().splitlines()[-1]
    sign, word = row.split("|")[2].strip().split(" ", 1)
    assert not sign.isascii()
    assert word.replace("needs a person", "manual").replace("no data", "no_data") == state


def test_edited_criterion_is_marked(rich):
    """A criterion that was edited after the start says so beside its verdict."""
    edited = replace(rich.criteria[0], edited="edited since the start: > 3%")
    assert "_(edited since the start: > 3%)_" in page_of(replace(rich, criteria=(edited,)))


def test_importing_loads_neither_matplotlib_nor_jinja():
    """Importing the package loads neither matplotlib nor Jinja2."""
    script = (
        "import sys, orchestrator.report; "
        "print({'matplotlib', 'jinja2', 'numpy', 'git'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
