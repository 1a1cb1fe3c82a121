"""compare.py: several members and seeds in one run, interrupted or not."""

import signal
import statistics

import pytest

from experiments.common.compare import read_entries
from experiments.puzzles.compare import SYSTEM

STEPS = 20
LABELS = ["recursive/seed_0", "recursive/seed_3", "recursive/seed_7", "direct/seed_0"]
LABELS += ["direct/seed_3", "direct/seed_7"]


@pytest.fixture(scope="module")
def config(programs):
    """Two members, three seeds, 20 steps each."""
    short = {"steps": STEPS, "checkpoint_every": 5, "eval_every": 0, "best": "", "ema": 0.5}
    members = {"recursive": {"segments": 2}, "direct": {"model": "direct", "segments": 1}}
    return programs.SUDOKU | short | {"members": members, "seeds": [0, 3, 7], "exploration": 0.0}


@pytest.fixture(scope="module")
def compared(programs, config):
    """A comparison that was never interrupted."""
    return programs.shared("compared", config, program="compare.py")


def scores(programs, run):
    """{series: value} of everything that is scored, for the comparison's last point of each."""
    return {
        name: line["metrics"][name]
        for line in programs.lines(run)
        for name in line.get("metrics", {})
        if "/train/" not in name
    }


def test_every_member_trains_with_every_seed(programs, compared):
    """Each has its own series of losses; the steps count on from member to member."""
    for place, label in enumerate(LABELS):
        losses = programs.series(compared, f"{label}/train/loss")
        assert sorted(losses) == list(range(place * STEPS + 1, (place + 1) * STEPS + 1))
    assert programs.manifests(compared)[-1] == STEPS * len(LABELS)
    first = [programs.series(compared, f"{label}/train/loss") for label in LABELS[:2]]
    assert list(first[0].values()) != list(first[1].values())


def test_medians_and_leads_are_those_of_the_scores(programs, compared):
    """MEMBER/x_median is the median over seeds, FIRST/x_above_OTHER the difference of medians."""
    found = scores(programs, compared)
    for kind in ("exact", "cell_accuracy", "givens_kept"):
        medians = {}
        for name in ("recursive", "direct"):
            values = [found[f"{name}/seed_{seed}/{kind}"] for seed in (0, 3, 7)]
            medians[name] = statistics.median(values)
            assert found[f"{name}/{kind}_median"] == medians[name]
        lead = found[f"recursive/{kind}_above_direct"]
        assert lead == pytest.approx(medians["recursive"] - medians["direct"])
    sizes = programs.summary(compared)
    assert sizes["recursive/seed_0/parameters"] == sizes["direct/seed_7/parameters"] > 0
    assert len({found[f"{label}/cell_accuracy"] for label in LABELS}) > 2


def test_members_may_be_scored_in_different_ways(programs, config, tmp_path):
    """After other counts of segments, as in the specs: leads are of what both members have."""
    members = {
        "recursive": {"segments": 2, "eval_segments": [2, 4]},
        "direct": {"model": "direct", "segments": 1, "eval_segments": [1]},
    }
    changes = {"members": members, "seeds": [0], "steps": 5, "ema": 0.3}
    run = programs.make_run(tmp_path, config, **changes)
    code, text = programs.complete(run, program="compare.py")
    assert code == 0, text
    found = scores(programs, run)
    assert "recursive/segments_4/exact_median" in found
    assert "direct/segments_4/exact_median" not in found
    leads = {name for name in found if name.endswith("_above_direct")}
    assert "recursive/exact_above_direct" in leads
    assert not [name for name in leads if "segments_4" in name]


def test_killed_in_the_second_member_it_ends_with_the_same_numbers(
    programs, compared, config, tmp_path
):
    """SIGKILL in the middle of the second training; scores kept so far are not made again."""
    run = programs.make_run(tmp_path, config)
    process = programs.begin(run, program="compare.py")
    programs.wait_for(lambda: STEPS + 5 in programs.manifests(run), process)
    process.send_signal(signal.SIGKILL)
    assert programs.wait(process)[0] == -signal.SIGKILL
    resumed_from = programs.manifests(run)[-1]
    code, text = programs.complete(run, 2, program="compare.py")
    assert code == 0, text
    label = LABELS[resumed_from // STEPS]
    assert f"{label} " in text
    assert f"step {resumed_from % STEPS} of {STEPS}" in text
    assert LABELS[0] not in text
    assert scores(programs, run) == scores(programs, compared)
    last = STEPS * len(LABELS)
    ends = programs.checkpoint(run, last), programs.checkpoint(compared, last)
    assert programs.difference(*ends) == ""


def test_sigterm_asks_to_be_requeued(programs, config, tmp_path):
    """A comparison that is told to stop saves its member's step and ends with 75."""
    run = programs.make_run(tmp_path, config)
    (run / "attempt-1").mkdir()
    (run / "attempt-1" / "stop.json").write_text("{}")
    code, text = programs.complete(run, program="compare.py")
    assert code == 75, text
    assert programs.manifests(run) == [1]
    assert programs.checkpoint(run, 1)["extra"] == {"member": LABELS[0], "scores": {}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": {}}, "members .* are needed"),
        ({"seeds": []}, "seeds .* are needed"),
        ({"members": {"a": {"widht": 8}}}, r"members\.a: no such settings: \['widht'\]"),
        ({"members": {"a": 3}}, r"members\.a=3: a table of settings"),
        ({"members": {"a": {"width": "wide"}}}, "width='wide': not int"),
        ({"seeds": [1, 1]}, "each one once"),
        ({"steps": 0, "epochs": 2}, "a comparison counts steps"),
    ],
)
def test_what_cannot_be_compared_is_refused(config, change, said):
    """Missing or unknown members, settings and seeds are named before anything is trained."""
    with pytest.raises(ValueError, match=said):
        read_entries(config | change, SYSTEM)


def test_a_wrong_comparison_ends_for_good(programs, config, tmp_path):
    """As a process it says what is wrong and ends with 93, without a traceback."""
    run = programs.make_run(tmp_path, config, members={"a": {"widht": 8}})
    code, text = programs.complete(run, program="compare.py")
    assert code == 93
    assert "compare.py: members.a: no such settings: ['widht']" in text
    assert "Traceback" not in text
