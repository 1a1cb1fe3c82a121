"""A run with much to catch up on beside one that crashes."""

from conftest import wait_for

from orchestrator.store import Reader

# Several times what a look takes in, in one file; its last point decides.
MUCH = """
import json, os
from orchestrator import track
run = track.init()
run.log({"train/loss": 1.0}, step=1)
with open(os.path.join(os.environ["EXP_ATTEMPT_DIR"], "events-host-0-1.jsonl"), "w") as file:
    for step in range(1, 300001):
        loss = 0.25 if step == 300000 else 1.0
        metrics = {"train/loss": loss, "a/long/name/of/a/metric": step / 7, "another": step / 3}
        file.write(json.dumps({"step": step, "time": 1.0, "metrics": metrics}) + "\\n")
run.finish()
"""


def test_a_run_that_ended_with_much_unread_is_judged_by_all_of_it(lab):
    """Its end is written down when everything is in; another run's end does not wait for that."""
    lab.ticket(1)
    lab.ticket(2, experiment="e/b.toml")
    lab.experiment(MUCH, "steps = 300000\n")
    lab.experiment("raise SystemExit(3)", path="e/b.toml")
    lab.commit()
    assert lab.exp("ticket", "start", "1").returncode == 0
    wait_for((lab.run(1) / "attempt-1/exit.json").exists, what="the end of much")
    assert lab.exp("ticket", "start", "2").returncode == 0
    lab.published(2)
    assert not (lab.run(1) / "published.json").exists()
    lab.published(1)
    assert "- [x] train/loss < 0.5" in lab.text(1)
    with Reader(lab.root / ".exp/exp.db") as reader:
        assert reader.run("R-000001").outcome == "completed"
        assert reader.history("R-000001", "another").total == 300_000
