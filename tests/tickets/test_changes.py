"""Criteria that changed since a run began: each beside the line that replaced it."""

from orchestrator.domain.criterion import Criterion, Kind, Reading
from orchestrator.tickets import changes_since, parse

READING = Reading(kind=Kind.THRESHOLD)


def changes(now, *then):
    """(was, became, numbers) of each change between lines."""
    text = "## C\n" + "".join(f"- [ ] {line}\n" for line in now)
    frozen = [
        Criterion(key=line, text=line, section="C", required=True, reading=READING) for line in then
    ]
    ticket = parse(text.encode(), "tickets/T-0001.md").ticket
    return [(one.was, one.became, one.numbers) for one in changes_since(ticket, frozen)]


def test_numbers_are_named_old_and_new():
    """`5% → 4%` where nothing but numbers changed; else the texts speak for themselves."""
    assert changes(["pass@1 > 4%"], "pass@1 > 5%") == [("pass@1 > 5%", "pass@1 > 4%", "5% → 4%")]
    assert changes(["loss below 2 by step 3,000"], "loss below 2 by step 2,000") == [
        ("loss below 2 by step 2,000", "loss below 2 by step 3,000", "2,000 → 3,000")
    ]
    assert changes(["eval loss is below 2"], "eval loss below 2") == [
        ("eval loss below 2", "eval loss is below 2", None)
    ]


def test_a_predicate_is_part_of_the_claim():
    """The words stay, what the machine is to read does not: that is a change."""
    found = changes(["Good <!-- exp: a > 1 -->"], "Good <!-- exp: a > 2 -->")
    assert [numbers for *_, numbers in found] == ["2 → 1"]
    assert changes(["Good - 0.4 now"], "Good (achieved 0.3)") == []


def test_a_new_line_replaces_one_old_line_only():
    """Of two lost lines that look like one new line, the second is gone."""
    assert changes(["loss < 3"], "loss < 1", "loss < 2") == [
        ("loss < 1", "loss < 3", "1 → 3"),
        ("loss < 2", None, None),
    ]


def test_two_thousand_reworded_lines_find_their_successors():
    """A ticket that was reworded from end to end is compared line by line, not all with all."""
    then = [f"the metric called name{chr(97 + n % 26)}{n} reaches {n}" for n in range(2000)]
    now = [line.replace("reaches", "gets up to") for line in then]
    found = changes(now, *then)
    assert len(found) == 2000
    assert sum(became is not None for _, became, _ in found) > 1900
