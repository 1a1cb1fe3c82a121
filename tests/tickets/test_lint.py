"""Lint: each rule finds its case, on its line, and nothing on a ticket that is right."""

from pathlib import Path

import pytest

from orchestrator.domain.criterion import Criterion, Decidable, Kind, Reading
from orchestrator.tickets import Knowledge, LintFinding, lint, parse
from orchestrator.tickets.lint import RULES

GUIDE = Path(__file__).parents[2] / "docs" / "ticket-format.md"


def findings(*files: tuple[str, str], **knowledge) -> list[LintFinding]:
    """Lint files given as name and text."""
    documents = [
        parse(text.encode("utf-8", "surrogateescape"), f"tickets/{name}") for name, text in files
    ]
    return lint(documents, Knowledge(**knowledge))


def rules(*files: tuple[str, str], **knowledge) -> list[tuple[str, str, int | None]]:
    """Rule, file and line of each finding."""
    return [
        (f.rule, f.path.removeprefix("tickets/"), f.line) for f in findings(*files, **knowledge)
    ]


def text(number: int, status: str = "READY", **fields: str) -> str:
    lines = [f"# T-{number:04d}: x", "", f"**Status**: {status}"]
    return "\n".join([*lines, *(f"**{key}**: {value}" for key, value in fields.items()), ""])


def reading(decidable: Decidable, **more: object) -> Reading:
    return Reading(kind=Kind.THRESHOLD, decidable=decidable, **more)


def frozen(*texts: str) -> tuple[Criterion, ...]:
    return tuple(
        Criterion(
            key=one, text=one, section="Acceptance Criteria", required=True,
            reading=reading(Decidable.YES),
        )
        for one in texts
    )  # fmt: skip


def test_right_tickets_have_no_findings(tmp_path):
    """A chain of tickets in every status, written by the rules, is clean."""
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "a.toml").touch()
    assert rules(
        ("T-0001.md", text(1, "DONE", Phase="—", Before="T-0002, T-0003")
         + "- [x] runs 5 steps - 5 steps\n"),
        ("T-0002.md", text(2, "ONGOING", Phase="DEBUGGING", After="T-0001", Experiment="e/a.toml")
         + "- [ ] a\n"),
        ("T-0003-slug.md", text(3, After="T-0001")),
        ("T-0004.md", text(4, "BLOCKED", After="T-0002, T-0003")),
        ("T-0005.md", text(5, "FAILED")),
        ("T-0006.md", text(6, "IDEA", After="T-0005")),
        ("T-0007.md", text(7, "BLOCKED")),
        root=tmp_path,
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("body", "rule", "line"),
    [
        (text(1, "DONE") + "\n- [x] a\n- [ ] b\n", "done-with-open-box", 6),
        (text(1) + "\n- [x] Training runs for ~52,000 steps (5%) - Completed 80% (41,960 steps)\n",
         "contradicted-tick", 5),
        (text(1, "ONGOING", Phase="COMPLETED"), "unknown-phase", 4),
        (text(1, "READY", Phase="PLANNING"), "phase-without-work", 4),
        (text(1, "Paused"), "unknown-status", 3),
        (text(1, "—"), "unknown-status", 3),
        ("# T-0001: x\n", "unknown-status", None),
        (text(1, After="T-0002"), "missing-dependency", 4),
        (text(1, After="T-0001"), "self-dependency", 4),
        (text(1, After="the data"), "unreadable-after", 4),
        (text(1, Before="T-0002"), "stale-before", 4),
        (text(2), "title-mismatch", 1),
        ("---\nid: T-0002\nstatus: Done\n---\n", "title-mismatch", 2),
        (text(1) + "\udce4\n", "not-utf8", 4),
        (text(1) + "```\n- [ ] hidden\n", "unclosed", 4),
        (text(1) + "<!-- exp:begin e -->\n", "broken-block", None),
        (text(1, Experiment="e/none.toml"), "experiment-missing", 4),
        (text(1, Experiment="../e.toml"), "experiment-outside", 4),
        (text(1, Experiment="/etc/passwd"), "experiment-outside", 4),
        (text(1, Experiment="e/" + "x" * 5000), "experiment-missing", 4),
        (text(1, Experiment="e\0"), "experiment-missing", 4),
    ],
)  # fmt: skip
def test_rule_of_one_ticket(body, rule, line, tmp_path):
    """Each thing that is wrong with one ticket is found once, on its line, with a hint."""
    found = findings(("T-0001.md", body), root=tmp_path)
    assert [(one.rule, one.line, one.severity) for one in found] == [(rule, line, RULES[rule])]
    assert found[0].hint
    assert found[0].message


def test_link_that_leaves_the_workspace(tmp_path):
    """An experiment behind a symbolic link out of the workspace is outside."""
    (tmp_path / "outside.toml").touch()
    root = tmp_path / "w"
    root.mkdir()
    (root / "e.toml").symlink_to(tmp_path / "outside.toml")
    (root / "loop").symlink_to(root / "loop")
    assert rules(("T-0001.md", text(1, Experiment="e.toml")), root=root) == [
        ("experiment-outside", "T-0001.md", 4)
    ]
    looped = rules(("T-0001.md", text(1, Experiment="loop/e.toml")), root=root)
    assert [rule for rule, _, _ in looped] == ["experiment-missing"]


def test_duplicate_ids_name_each_other():
    """Two files with one id are both found, each naming the other."""
    found = findings(("T-0001.md", text(1)), ("T-0001-again.md", text(1)))
    assert [one.rule for one in found] == ["duplicate-id", "duplicate-id"]
    assert "T-0001.md" in found[0].message
    assert "T-0001-again.md" in found[1].message


def test_cycle_is_one_finding_with_its_path():
    """A circle of three is found once, on its smallest ticket, with the whole path."""
    found = findings(
        ("T-0001.md", text(1, "BLOCKED", After="T-0002")),
        ("T-0002.md", text(2, "BLOCKED", After="T-0003")),
        ("T-0003.md", text(3, "BLOCKED", After="T-0001")),
    )
    assert [(one.rule, one.path, one.line) for one in found] == [("cycle", "tickets/T-0001.md", 4)]
    assert "T-0001 after T-0002 after T-0003 after T-0001" in found[0].message


@pytest.mark.parametrize("status", ["READY", "ONGOING"])
def test_started_too_early(status):
    """A ticket that is READY or ONGOING before its dependency is DONE is warned of."""
    files = ("T-0001.md", text(1, "FAILED")), ("T-0002.md", text(2, status, After="T-0001"))
    assert rules(*files) == [("early", "T-0002.md", 3)]


def test_blocked_by_nothing():
    """A BLOCKED ticket whose dependencies are all DONE could be READY."""
    files = ("T-0001.md", text(1, "DONE")), ("T-0002.md", text(2, "BLOCKED", After="T-0001"))
    assert rules(*files) == [("needlessly-blocked", "T-0002.md", 3)]


@pytest.mark.parametrize(
    ("written", "stale"), [("T-0002", False), ("—", True), ("T-0002, T-0003", True)]
)
def test_before_is_the_inverse_of_after(written, stale):
    """A written Before must name exactly the tickets that come after."""
    found = rules(
        ("T-0001.md", text(1, "DONE", Before=written)),
        ("T-0002.md", text(2, After="T-0001")),
        ("T-0003.md", text(3)),
    )
    assert found == ([("stale-before", "T-0001.md", 4)] if stale else [])


@pytest.mark.parametrize(
    ("decidable", "warned"),
    [
        (Decidable.ASK, True),
        (Decidable.DECLARE, True),
        (Decidable.MANUAL, False),
        (Decidable.YES, False),
    ],
)
def test_unreadable_criterion(decidable, warned):
    """A line that the machine could judge if it were clearer is warned of with the reason."""
    body = (
        text(1) + "\n## Acceptance Criteria\n- [ ] gap is small\n- [x] old\n## Approach\n- [ ] do\n"
    )
    asked = []

    def read(document):
        asked.append(document.path)
        box = document.ticket.checkboxes[0]
        return [(box, reading(decidable, why="the metric is unnamed"))]

    found = findings(("T-0001.md", body), read=read)
    assert [(one.rule, one.line) for one in found] == (
        [("unreadable-criterion", 6)] if warned else []
    )
    assert all("the metric is unnamed" in one.message for one in found)
    assert asked == ["tickets/T-0001.md"]


def test_a_spec_that_cannot_be_used(tmp_path):
    """What is wrong with a ticket's spec is told at the line that names it."""
    (tmp_path / "a.toml").touch()
    file = ("T-0001.md", text(1, Experiment="a.toml"))
    told = {"root": tmp_path, "spec_problems": lambda ticket: [f"{ticket.id}: no such criterion"]}
    (found,) = findings(file, **told)
    assert (found.rule, found.severity, found.line) == ("experiment-invalid", "error", 4)
    assert found.message == "T-0001: no such criterion"


@pytest.mark.parametrize(
    ("more", "open_is_wrong"),
    [
        ({}, True),
        ({"polarity": "inverted"}, False),
        ({"tier": "nice"}, False),
        ({"polarity": "conditional"}, False),
    ],
)
def test_done_may_leave_alarms_and_wishes_open(more, open_is_wrong):
    """A box that must not come true, or is only nice to have, may stay open on a DONE ticket."""
    body = text(1, "DONE") + "\n## Criteria\n- [ ] a\n"

    def read(document):
        return [(box, reading(Decidable.MANUAL, **more)) for box in document.ticket.checkboxes]

    found = rules(("T-0001.md", body), read=read)
    assert found == ([("done-with-open-box", "T-0001.md", 6)] if open_is_wrong else [])


def test_threshold_edited_after_start():
    """A criterion that changed since the run began is named with its old and its new text."""
    body = text(1, "ONGOING") + (
        "\n## Criteria\n- [ ] loss < 0.5 - 0.4 now\n- [ ] pass@1 > 3%\n- [ ] brand new line\n"
    )
    started = {"T-0001": frozen("loss < 0.5", "pass@1 > 5%", "Checkpoints saved")}
    found = findings(("T-0001.md", body), frozen=started)
    assert [(one.rule, one.line) for one in found] == [
        ("edited-after-start", None),
        ("edited-after-start", 7),
    ]
    gone, changed = found
    assert "'Checkpoints saved', now gone" in gone.message
    assert "'pass@1 > 5%', now 'pass@1 > 3%'" in changed.message


def test_notes_and_ticks_are_no_edit():
    """Ticking a criterion and noting its result leaves it the criterion that was frozen."""
    body = text(1, "ONGOING") + "\n## Criteria\n- [x] pass@1 > 5% (achieved 11.25%) ✅\n"
    assert rules(("T-0001.md", body), frozen={"T-0001": frozen("pass@1 > 5%")}) == []


def test_changed_predicate_is_an_edit():
    """An explicit predicate is part of the claim: changing it is changing the criterion."""
    body = text(1) + "\n## Criteria\n- [ ] good <!-- exp: a > 0.4 -->\n"
    started = {"T-0001": frozen("good <!-- exp: a > 0.5 -->")}
    assert rules(("T-0001.md", body), frozen=started) == [("edited-after-start", "T-0001.md", 6)]


def test_every_rule_is_documented():
    """The page of the ticket format lists every rule with its severity, in the same order."""
    rows = [
        tuple(cell.strip(" `") for cell in line.split("|")[1:3])
        for line in GUIDE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    assert rows == list(RULES.items())


def test_findings_are_ordered():
    """Findings come by file and line, so that two looks at the same files print the same."""
    found = rules(
        ("T-0002.md", text(2, "X", After="T-0009")), ("T-0001.md", text(1, "X", Before="T-0009"))
    )
    assert [(path, line) for _, path, line in found] == [
        ("T-0001.md", 3), ("T-0001.md", 4), ("T-0002.md", 3), ("T-0002.md", 4),
    ]  # fmt: skip
