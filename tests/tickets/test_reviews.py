"""Reviews: what stands in a ticket is what was said, and holds as long as what was seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import tickets
from orchestrator.domain.criterion import Evidence, State, Verdict
from orchestrator.domain.review import (
    Decision,
    Gate,
    Review,
    Standing,
    decision_of,
    expiry,
    gate,
    seen_now,
    standings,
    waits,
)

TEXT = "# T-0001: Learn\n\n## Acceptance Criteria\n- [ ] loss < 2\n\n## Evidence\n\nMine.\n"
RUN = "R-000001"


def verdict(state=State.MET, value=1.5, line=7, companions=()):
    evidence = Evidence(kind="point", text="loss = 1.5", source="a.jsonl", line=line, step=3)
    return Verdict(
        state=state, final=True, why="", value=value, evidence=evidence, companions=companions
    )


def review(decision=Decision.REJECT, *, key="loss < 2", reason="leaked", by="Ada <a@b.c>", **more):
    seen = more.get("seen") or seen_now(RUN, "loss < 2", verdict())
    return Review(
        ticket="T-0001", key=key, decision=decision, by=by, time=1.7e9, reason=reason, seen=seen
    )


def document(text=TEXT):
    return tickets.parse(text.encode("utf-8", "surrogatepass"), "tickets/T-0001.md")


PIECES = ["<!--", "-->", "exp:end review", "&lt;!--", "&amp;", "lt;!--", "**", "`", " ", "é", "- "]
WORDS = st.lists(st.sampled_from(PIECES)).map(lambda found: " ".join("".join(found).split()))


@given(key=WORDS, reason=WORDS, decision=st.sampled_from(Decision), state=st.sampled_from(State))
def test_what_was_written_is_read_back(key, reason, decision, state):
    """Reviews of any key and reason come back as they were, and nothing else changes."""
    seen = seen_now(RUN, key, verdict(state, value=float("inf")))
    said = [review(decision, key=key, reason=reason, seen=seen), review(key="x", reason=reason)]
    written = tickets.add_reviews(tickets.add_reviews(document(), said[:1]), said[1:])
    assert list(tickets.reviews_of(written)) == said
    assert tickets.unread_lines(written) == ()
    assert "".join(text for _, text in written.words_of_people()).startswith(TEXT.rstrip("\n"))


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_line_ends_are_read_as_well(newline):
    """A ticket with CRLF or CR holds the same reviews, in its own line ends."""
    written = tickets.add_reviews(document(TEXT.replace("\n", newline)), [review(), review()])
    assert tickets.reviews_of(written) == (review(), review())
    assert "\n" not in written.text.replace("\r\n", "") or newline == "\n"


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ("  - by", "  - By", 4),
        ("**rejected**", "**refused**", 4),
        ("2023-11-14", "2023-13-14", 4),
        ("met, 1.5", "met, 1.5.1", 4),
        ("- **rejected**", "A word of mine.\n\n- **rejected**", 1),
    ],
)
def test_what_a_person_edits_is_kept_and_named(old, new, left):
    """Lines of the block that are no review stay byte for byte when one is added."""
    written = tickets.add_reviews(document(), [review()])
    edited = document(written.text.replace(old, new))
    assert len(tickets.unread_lines(edited)) == left
    more = tickets.add_reviews(edited, [review(Decision.ACCEPT)])
    assert tickets.reviews_of(more)[-1] == review(Decision.ACCEPT)
    assert edited.block("review") in more.block("review")
    assert len(tickets.unread_lines(more)) == left


SEEN = seen_now(RUN, "loss < 2", verdict())


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (SEEN, None),
        (seen_now(RUN, "loss < 3", verdict()), "the line was edited"),
        (seen_now("R-000002", "loss < 2", verdict()), "R-000002 tells of the ticket now"),
        (seen_now(RUN, "loss < 2", verdict(State.FAILED)), "the verdict is failed now, not met"),
        (seen_now(RUN, "loss < 2", verdict(line=8)), "the evidence is another now"),
        (seen_now(RUN, "loss < 2", verdict(value=1.6)), "the evidence is another now"),
        (seen_now(RUN, "loss < 2", None), None),
        (seen_now(None, "loss < 2", None), None),
        (seen_now(None, "loss < 3", None), "the line was edited"),
    ],
)
def test_a_review_expires_with_what_it_stood_on(now, why):
    """Line, run, verdict and evidence expire it; what is unknown now does not."""
    found = expiry(SEEN, now)
    assert found is None if why is None else found is not None and found.startswith(why)


def test_an_integer_is_the_same_value_from_the_index():
    """A value that the index gives back as a float has not changed."""
    one = seen_now(RUN, "x", verdict(value=1))
    assert one == seen_now(RUN, "x", verdict(value=1.0))


def test_the_newest_decision_counts_and_notes_decide_nothing():
    """Of a criterion's decisions the last stands, beside all notes."""
    said = [review(), review(Decision.NOTE, reason="odd"), review(Decision.ACCEPT), review()]
    said.append(review(Decision.NOTE, reason="late"))
    found = standings(said, SEEN)
    assert [one.review.reason for one in found] == ["odd", "leaked", "late"]
    assert decision_of(found).review is said[3]
    assert decision_of(standings(said[1:2], SEEN)) is None


A, R, W = Decision.ACCEPT, Decision.REJECT, Decision.WAIVE


@pytest.mark.parametrize(
    ("state", "word", "fresh", "checked", "expected"),
    [
        (State.MET, None, True, True, Gate.PASSED),
        (State.MET, None, True, False, Gate.OPEN),
        (State.MET, R, True, True, Gate.REJECTED),
        (State.MET, R, False, True, Gate.OPEN),
        (State.MET, A, False, True, Gate.PASSED),
        (State.MANUAL, None, True, True, Gate.PASSED),
        (State.MANUAL, None, True, False, Gate.OPEN),
        (State.MANUAL, A, True, True, Gate.PASSED),
        (State.MANUAL, A, False, True, Gate.OPEN),
        (State.NO_DATA, None, True, True, Gate.UNMET),
        (State.NO_DATA, A, True, False, Gate.PASSED),
        (State.NO_DATA, A, False, True, Gate.UNMET),
        (State.FAILED, A, True, True, Gate.UNMET),
        (State.PENDING, A, True, True, Gate.UNMET),
        (State.FAILED, W, True, False, Gate.WAIVED),
        (State.FAILED, W, False, False, Gate.UNMET),
        (None, None, True, True, Gate.OPEN),
        (None, A, True, True, Gate.PASSED),
    ],
)
def test_both_words_decide_a_gate(state, word, fresh, checked, expected):
    """A person's word counts where the machine has none, and never turns failed into met."""
    old = None if fresh else "the line was edited"
    decision = None if word is None else Standing(review=review(word), expired=old)
    assert gate(state, decision, checked=checked, tickable=True) is expected


def test_a_row_of_a_table_needs_no_tick():
    """What is met and has no box passes."""
    assert gate(State.MET, None, checked=False, tickable=False) is Gate.PASSED
    assert gate(State.MANUAL, None, checked=False, tickable=False) is Gate.OPEN


@pytest.mark.parametrize(
    ("found", "checked", "polarity", "why"),
    [
        (verdict(), True, "positive", None),
        (verdict(), False, "positive", "met, and opened again by a person"),
        (verdict(companions=("the same value each time",)), True, "positive", "met, with a"),
        (verdict(State.MANUAL), False, "positive", "for a person"),
        (verdict(State.MANUAL), True, "positive", None),
        (verdict(State.NO_DATA), False, "positive", "there are no data"),
        (verdict(State.FAILED), True, "positive", "ticked, although it failed"),
        (verdict(State.FAILED), False, "positive", "failed"),
        (None, True, "positive", "no run has judged it"),
        (verdict(), False, "inverted", "the alarm is true"),
        (verdict(State.FAILED), False, "inverted", None),
        (verdict(), False, "conditional", None),
    ],
)
def test_why_a_line_waits_for_a_person(found, checked, polarity, why):
    """A line waits unless machine and box agree, or a person has spoken."""
    said = waits(found, (), polarity=polarity, checked=checked)
    assert said is None if why is None else said is not None and said.startswith(why)
    spoken = (Standing(review=review(), expired=None),)
    assert waits(found, spoken, polarity=polarity, checked=checked) is None
    expired = (Standing(review=review(), expired="the line was edited"),)
    assert "expired" in waits(found, expired, polarity=polarity, checked=checked)


def test_a_waived_line_may_stay_open(tmp_path):
    """Lint asks for no tick of a line that was waived, and names what it cannot read."""
    done = TEXT.replace("\n\n##", "\n\n**Status**: DONE\n\n##", 1)
    plain, waived = document(done), tickets.add_reviews(document(done), [review(W)])
    edited = document(waived.text.replace("- why", "- Why"))

    def rules(one):
        return [found.rule for found in tickets.lint([one], tickets.Knowledge())]

    assert "done-with-open-box" in rules(plain)
    assert "done-with-open-box" not in rules(waived)
    assert "unreadable-review" in rules(edited)
    assert "unreadable-review" not in rules(waived)
