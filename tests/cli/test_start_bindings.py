"""What a start says of the criteria, and what it fixes for good."""

from conftest import QUICK


def frozen(lab, number=1):
    """Bindings of each criterion of a run."""
    return [criterion["bindings"] for criterion in lab.json("run.json", number)["criteria"]]


def test_a_start_says_how_each_line_is_read_and_bound(lab):
    """Reading, series and its reason on stderr; what is not known yet says when it will be."""
    lab.ticket(
        criteria="- [ ] Good <!-- exp: score > 1 -->\n"
        "- [ ] Low <!-- exp: other < 2 -->\n"
        "- [ ] Training is stable"
    )
    lab.experiment(more='[metrics.score]\nkey = "eval/score"\n')
    done = lab.exp("ticket", "start", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "score is eval/score (declared in the spec)" in done.stderr
    assert "other binds when first logged" in done.stderr
    assert "Training is stable" in done.stderr
    lab.published()
    assert frozen(lab) == [{"score": "eval/score"}, {}, {}]


def test_the_last_run_tells_which_series_are_meant(lab):
    """Exact keys and unique words of the ticket's last run are fixed at the next start."""
    lab.ticket(
        criteria="- [ ] a <!-- exp: train/loss < 0.5 -->\n"
        "- [ ] b <!-- exp: accuracy > 0 -->\n- [ ] c <!-- exp: error > 0 -->"
    )
    names = "{'train/loss': 1 / step, 'eval/acc': 1, 'a/error': 1, 'b/error': 1}"
    lab.experiment(QUICK.replace('{"train/loss": 1 / step}', names))
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    assert frozen(lab) == [{}, {}, {}]
    done = lab.exp("ticket", "start", "1", "--follow", "--force")
    said = " ".join(done.stderr.split())
    assert "accuracy is eval/acc (the only series that matches)" in said
    assert "a/error, b/error" in done.stderr
    assert frozen(lab, 2) == [{"train/loss": "train/loss"}, {"accuracy": "eval/acc"}, {}]


def test_baselines_are_fixed_at_the_start(lab):
    """Numbers of a named run and of the ticket's last one; what is missing is warned of."""
    lab.ticket()
    lab.experiment()
    lab.exp("ticket", "start", "1", "--follow")
    lab.ticket(
        criteria="- [ ] New <!-- exp: train/loss < 1.1 * R-000001:train/loss -->\n"
        "- [ ] Newer <!-- exp: train/loss <= previous:loss -->\n"
        "- [ ] Lost <!-- exp: train/loss < R-000099:train/loss -->\n"
        "- [ ] Odd <!-- exp: train/loss < previous:accuracy -->"
    )
    done = lab.exp("ticket", "start", "1", "--follow")
    assert lab.json("run.json", 2)["baselines"] == {
        "R-000001:train/loss": 0.1,
        "previous:loss": 0.1,
    }
    assert "'Lost' has no baseline: the index knows no points of R-000099" in done.stderr
    assert "'Odd' has no baseline: R-000001 has no series 'accuracy'" in done.stderr


def test_the_first_run_has_no_previous_one(lab):
    """`previous` without an earlier run is said, and the run starts all the same."""
    lab.ticket(criteria="- [ ] Better <!-- exp: train/loss < previous:train/loss -->")
    lab.experiment()
    done = lab.exp("ticket", "start", "1", "--follow")
    assert "'Better' has no baseline: no run of this ticket has ended before" in done.stderr
    assert lab.json("run.json")["baselines"] == {}


def test_a_long_ticket_is_not_told_whole(lab):
    """Of two thousand criteria some are shown, with the command that shows all."""
    lines = "\n".join(f"- [ ] Line {n} <!-- exp: m{n} > 1 -->" for n in range(60))
    lab.ticket(criteria=lines)
    lab.experiment()
    done = lab.exp("ticket", "start", "1", "--follow")
    assert "and 20 more: exp ticket check T-0001" in done.stderr
    assert "Line 39" in done.stderr.partition("and 20 more")[0]
