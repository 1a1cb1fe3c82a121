"""Folders of a live run that are moved away, and come back."""

from conftest import PATIENT, wait_for


def test_a_live_attempt_whose_folder_is_away_for_a_while_is_left_alone(lab):
    """A folder that is gone proves no death: the training goes on, and so does the run."""
    lab.ticket()
    lab.experiment(PATIENT)
    lab.commit()
    assert lab.exp("ticket", "start", "1").returncode == 0
    log = lab.root / ".exp/watcher.log"
    attempt, away = lab.run() / "attempt-1", lab.run() / "away"
    wait_for(lambda: (attempt / "out.log").exists() and log.exists(), what="the training")
    attempt.rename(away)
    wait_for(lambda: "attempt-1 is gone" in log.read_text(), what="the watcher to see it")
    assert not list(away.glob("exit.json"))
    away.rename(attempt)
    lab.write("go", "")
    assert lab.published()["commit"]
    assert lab.json("attempt-1/exit.json")["recorded_by"] == "shim"
    assert lab.json("attempt-1/exit.json")["code"] == 0
    assert "- [x] train/loss < 0.5" in lab.text()
