"""[criteria] of a spec: what a line means is said once, beside how it is run."""

import json

import pytest

WORDS = "- [ ] Loss good  enough - 0.4 yesterday"


def predicates(lab):
    done = lab.exp("ticket", "check", "1", "--json")
    return [row["predicate"] for row in json.loads(done.stdout)["criteria"]]


def test_the_spec_says_what_a_line_means(lab):
    """Notes, case and spaces of the line do not matter; the run is judged by the predicate."""
    lab.ticket(criteria=WORDS)
    lab.experiment(more='[criteria]\n"loss GOOD enough" = "train/loss < 0.5 best"\n')
    assert predicates(lab) == ["train/loss < 0.5 best"]
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    assert "- [x] Loss good  enough - 0.4 yesterday" in lab.text()
    (frozen,) = lab.json("run.json")["criteria"]
    assert frozen["reading"]["predicate"] == "train/loss < 0.5 best"


def test_a_comment_in_the_line_wins(lab):
    """The nearest word on a line is the one that stands in it."""
    lab.ticket(criteria=f"{WORDS} <!-- exp: train/loss < 0.2 -->")
    lab.experiment(more='[criteria]\n"Loss good enough" = "train/loss < 0.5"\n')
    assert predicates(lab) == ["train/loss < 0.2"]


def test_an_unknown_line_is_refused_with_the_near_one(lab):
    """A typing error in the spec is found before anything runs, and by lint."""
    lab.ticket(criteria=WORDS)
    lab.experiment(more='[criteria]\n"Los good enough" = "train/loss < 0.5"\n')
    done = lab.exp("ticket", "start", "1")
    assert done.returncode == 4
    assert 'criteria."Los good enough": T-0001 has no such criterion' in done.stderr
    assert "did you mean 'Loss good  enough - 0.4 yesterday'?" in done.stderr
    assert not (lab.root / ".exp/runs").exists() or not list((lab.root / ".exp/runs").iterdir())
    lint = lab.exp("ticket", "lint")
    assert lint.returncode == 1
    assert "experiment-invalid" in lint.stdout


def test_a_spec_may_serve_several_tickets(lab):
    """A line of another ticket of the same spec is no typing error."""
    lab.ticket(criteria="- [ ] train/loss < 0.5")
    lab.ticket(2, criteria=WORDS)
    lab.experiment(more='[criteria]\n"Loss good enough" = "train/loss < 0.5"\n')
    assert lab.exp("ticket", "lint").returncode == 0
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[criteria]\n"Loss good enough" = "train/loss < < 2"', 'criteria."Loss good enough"'),
        ('[criteria]\n"Loss good enough" = "train/loss < < 2"', "column 14"),
        ('[criteria]\n"Loss good enough" = 5', "criteria.Loss good enough = 5"),
        ('[criteria]\n"Loss good enough" = \'log contains "-->"\'', "ends a comment"),
        ('[metrics.gap]\nexpr = "eval/loss /"', 'metrics."gap".expr'),
        ('[metrics.gap]\nexpr = "a > 1 and b"', "not arithmetic alone"),
        ('[metrics.gap]\nexpr = "best(a) / 2"', "only series and numbers"),
        ('[metrics.gap]\nexpr = "a / previous:a"', "only series and numbers"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_key(lab, more, said):
    """A malformed predicate or derived metric names file, key and place, and nothing runs."""
    lab.ticket(criteria=WORDS)
    lab.experiment(more=more)
    done = lab.exp("ticket", "start", "1")
    assert done.returncode == 4, done.stderr
    assert "experiments/e/a.toml" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert lab.exp("ticket", "show", "1").returncode == 0


def test_a_derived_metric_is_arithmetic(lab):
    """Series and numbers with the four operations and parentheses are taken."""
    lab.ticket()
    lab.experiment(more='[metrics.gap]\nexpr = "(eval/loss - train/loss) / 2 * 1e3"\ntotal = "n"\n')
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    assert lab.json("run.json")["metrics"]["gap"]["total"] == "n"
