import re
from dataclasses import replace

import pytest

from orchestrator.domain.criterion import State
from orchestrator.domain.remark import Remark
from orchestrator.domain.report import ReportKind
from orchestrator.domain.run import Outcome, RunStatus
from orchestrator.report import MetricFacts, Moment, Sample, render_index, render_report
from orchestrator.report.changes import Changes
from orchestrator.report.facts import Indexed
from orchestrator.report.parts import Gap

SECTIONS = {
    ReportKind.STATUS: (
        "Current status|What happened|Metrics|by class|Components|Training beside|Findings|"
        "Changes since|Criteria|Projections|Decision point|Next steps|Next milestone|"
        "What is not known|Configuration|Hardware|Checkpoints|Commands|Cost|Notes"
    ),
    ReportKind.CHECKPOINT: (
        "What happened|Root cause|Changes since|What was learned|Current status|Metrics|"
        "Checkpoints|Decision point|Next steps|Next milestone|What is not known|Configuration|"
        "Hardware|Commands|Cost|Notes"
    ),
    ReportKind.LOG: (
        "Current status|Timeline|Metrics|Findings|Changes since|Next steps|Next milestone|"
        "What is not known|Configuration|Hardware|Commands|Cost|Notes"
    ),
    ReportKind.ANALYSIS: (
        "Current status|Metrics|by class|Components|Training beside|Findings|Changes since|"
        "Criteria|Projections|Decision point|Next steps|Next milestone|What is not known|"
        "Configuration|Hardware|Commands|Cost|Notes"
    ),
}


def page_of(facts, kind=ReportKind.STATUS):
    return render_report(facts, kind)[kind.page].decode()


def headings(page):
    return re.findall(r"^## (.+)$", page, re.MULTILINE)


def section(page, title):
    """Text of the `##` section whose heading begins so."""
    return re.split(rf"^## {title}.*$", page, maxsplit=1, flags=re.MULTILINE)[1].split("\n## ")[0]


def ended(facts, outcome=Outcome.FAILED, why="exit code 1 in train"):
    return replace(
        facts,
        milestone=None,
        run=replace(facts.run, status=RunStatus.ENDED, outcome=outcome, why=why),
    )


@pytest.mark.parametrize("kind", list(ReportKind))
def test_sections_stand_in_their_order(rich, kind):
    """Each kind has its sections in the order that people read them, none of them twice."""
    found = headings(page_of(rich, kind))
    wanted = SECTIONS[kind].split("|")
    assert len(found) == len(wanted)
    for heading, word in zip(found, wanted, strict=True):
        assert word in heading


@pytest.mark.parametrize("kind", list(ReportKind))
@pytest.mark.parametrize("name", ["rich", "bare", "crashed", "unstarted"])
def test_pages_are_whole(name, kind, request, bare):
    """No kind has an empty section, an empty cell, a ragged table or a word of Python."""
    facts = replace(bare, run=None) if name == "unstarted" else request.getfixturevalue(name)
    page = re.sub(
        r"^```text\n.*?^```$", "(log)", page_of(facts, kind), flags=re.DOTALL | re.MULTILINE
    )
    body = page.split("\n## Notes")[0]
    assert not re.search(r"^## [^\n]+\n+(?=## |\Z)", body, re.MULTILINE)
    assert not re.search(r"\|[ \t]*\|(?!-)", page)
    assert not re.search(r"[ \t]$|\n\n\n|None|\bnan\b", page, re.MULTILINE)
    width = 0
    for line in page.splitlines():
        cells = len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells in {0, width} or not width, line
        width = cells


@pytest.mark.parametrize("kind", list(ReportKind))
def test_people_are_quoted_once_on_each_page(rich, kind):
    """Every note stands on every kind of page once, with its author and its time."""
    page = page_of(rich, kind)
    for remark in rich.remarks:
        assert page.count(f"“{remark.text}”") == 1, remark.kind
    assert page.count("Ada, 2025-12-21 21:45") == (
        0 if kind is ReportKind.LOG else len(rich.remarks)
    )


def test_remarks_stand_where_they_belong(rich):
    """A cause is under Root cause, a lesson under What was learned, an idea under Next steps."""
    page = page_of(rich, ReportKind.CHECKPOINT)
    assert "the optimizer's memory" in section(page, "Root cause")
    assert "save before you evaluate" in section(page, "What was learned")
    assert "expandable_segments" in section(page, "Next steps")
    assert "half the batch" in section(page, "Decision point")
    assert "“high”" in section(page, "Notes")


def test_nothing_is_drafted_for_people(crashed):
    """A checkpoint without a person's words has no lesson and names the note that is missing."""
    page = page_of(crashed, ReportKind.CHECKPOINT)
    assert "What was learned" not in headings(page)
    unknown = section(page, "What is not known")
    assert 'exp note T-0001 --kind lesson "…"' in unknown
    assert 'exp note T-0001 --kind cause "…"' in unknown


def test_the_log_is_in_the_order_of_time(rich):
    """The log tells of all runs and of people's notes, the oldest first."""
    rows = [
        r for r in section(page_of(rich, ReportKind.LOG), "Timeline").splitlines() if "| 20" in r
    ]
    times = [row.split("|")[1].strip() for row in rows]
    assert times == sorted(times)
    assert len(rows) == len(rich.log) + len(rich.remarks)
    assert "| R-000041 | — | failed | exit code 1 in train |" in rows[1]
    assert "| — | cause by Ada | “evaluation kept the optimizer's memory” |" in "\n".join(rows)


def test_decision_while_it_lives(rich):
    """A live run with a failed criterion may go on, be stopped, or have the criterion waived."""
    text = section(page_of(rich), "Decision point")
    assert "C3 failed: “No NaN in `train/loss`”" in text
    assert "2 of 6 required criteria can still change as it goes on: C1, C2" in text
    assert "`exp run stop R-000042`" in text
    assert '--waive C3 --reason "…"`' in text
    assert "once DONE it frees `T-0018`" in text
    assert "The rest takes 1 h 31 min to 1 h 41 min" in text
    assert "[A person has to decide](#decision-point)" in page_of(rich)


def test_decision_at_the_end(rich):
    """A failed run may be resumed from its newest valid checkpoint, repeated, or accepted."""
    text = section(page_of(ended(rich)), "Decision point")
    assert "`R-000042` failed: exit code 1 in train" in text
    assert "| `exp run resume R-000042` | Goes on from the checkpoint of step 41,444" in text
    assert "516 steps are done again." in text
    assert "If it is resumed, its criteria are judged again with what it logs then." in text
    assert "can change any more" not in text
    assert "`exp ticket start T-0017`" in text
    assert "The same again would end no better" in text
    assert "--decide failed" in text
    assert "`T-0018` stays blocked" in text
    assert "8 h 19 min, 66.7 GPU-hours, 166.75 EUR" in text


def test_nothing_to_resume(rich):
    """Without a valid checkpoint, or of a run that completed, resuming is no option."""
    broken = tuple(replace(each, valid=False) for each in rich.checkpoints)
    assert "exp run resume" not in page_of(ended(replace(rich, checkpoints=broken)))
    done = section(page_of(ended(rich, Outcome.COMPLETED, "all done")), "Decision point")
    assert "exp run resume" not in done
    assert "R-000042` failed" not in done


@pytest.mark.parametrize("status", ["DONE", "FAILED"])
def test_no_decision_on_a_decided_ticket(rich, status):
    """A ticket that a person has ended has no decision point."""
    page = page_of(replace(rich, ticket=replace(rich.ticket, status=status)))
    assert "Decision point" not in page
    assert "has to decide" not in page


def test_no_decision_while_all_goes_well(rich):
    """As long as nothing required has failed nobody is asked to decide."""
    fine = tuple(each for each in rich.criteria if each.verdict.state is not State.FAILED)
    assert "Decision point" not in page_of(replace(rich, criteria=fine))


def _series(count, **more):
    history = tuple((step, 1 / (step + 1)) for step in range(20))
    return tuple(
        MetricFacts(
            name=f"train/{n}/a_rather_long_name_of_a_metric",
            history=history,
            first=Sample(step=0, value=1.0),
            latest=Sample(step=19, value=0.05),
            points=20,
            **more,
        )
        for n in range(count)
    )


@pytest.mark.parametrize("kind", list(ReportKind))
def test_a_page_of_many_series_stays_small(rich, kind):
    """Of 500 series 24 are shown, 76 folded away, the rest counted; a page is below 60 kB."""
    asked = next(metric for metric in rich.metrics if metric.targets)
    page = page_of(replace(rich, metrics=(*_series(500), asked)), kind)
    assert len(page.encode()) < 60_000
    if "Metrics" in headings(page):
        text = section(page, "Metrics")
        assert text.index("eval/pass@1") < text.index("train/0/"), "asked for comes first"
        assert text.count("\n| `") == 100
        assert "<details><summary>76 more metrics</summary>" in text
        assert "401 more are not listed here" in text


def test_declared_metrics_come_before_others(bare):
    """A metric that the spec declares stands before those that it does not."""
    plain, declared = _series(1)[0], replace(_series(1, declared=True)[0], name="z")
    text = section(page_of(replace(bare, metrics=(plain, declared))), "Metrics")
    assert text.index("`z`") < text.index("`train/0")


def test_no_column_for_what_nobody_compares(bare):
    """Without a value before there is no such column."""
    page = page_of(replace(bare, metrics=_series(1), changes=Changes()))
    assert "| Metric | Now @ step | Target | Best | First | Course |" in page


def test_index_of_all_reports(rich, bare):
    """Tickets stand under their states with criteria and links that lead to their pages."""
    text = render_index(
        [
            Indexed(facts=rich, pages=("report.md", "log.md")),
            Indexed(facts=replace(bare, ticket=replace(bare.ticket, status="DONE")), pages=()),
        ],
        "mine\n",
    ).decode()
    assert headings(text) == ["ONGOING", "DONE", "Notes"]
    assert "1 of 6 required criteria met" in text
    assert "[log.md](../experiments/urm/reports/T-0017/log.md)" in text
    assert "<!-- exp:notes -->\nmine\n<!-- /exp:notes -->" in text


def test_index_without_a_run():
    """An index of nothing says so."""
    assert "No ticket has a run yet." in render_index([]).decode()


def test_long_log_has_a_gap(rich):
    """Of a log of a thousand lines the beginning and the end are shown, the rest is counted."""
    moments = tuple(Moment(time=float(n), text=f"moment {n}.", run="R-1") for n in range(1000))
    page = page_of(replace(rich, log=moments, remarks=()), ReportKind.LOG)
    assert "moment 0." in page
    assert "moment 999." in page
    assert "… 700 more …" in page


def test_note_of_an_unknown_kind_is_kept(bare):
    """A kind of note that we do not know is shown among the notes."""
    remark = Remark(kind="omen", by="Ada", time=0.0, text="a raven")
    assert "“a raven”" in page_of(replace(bare, remarks=(remark,)))


def test_a_gap_to_a_number_that_is_none_has_no_ratio(rich):
    """Of NaN nothing is a multiple: the cell is a dash, not `NaN×`."""
    gap = Gap(metric="loss", train=float("nan"), evaluation=2.0, train_step=9, step=9)
    text = section(page_of(replace(rich, gaps=(gap,)), ReportKind.ANALYSIS), "Training beside")
    assert "NaN×" not in text
    assert "| — |" in text
