"""The whole way with torchrun: its workers live in sessions of their own and track by rank."""

import json
import sys
from pathlib import Path

import pytest

import orchestrator

TRAIN = (
    "import sys, time\n"
    "from orchestrator import track\n"
    "run = track.init()\n"
    "run.should_stop()\n"
    "step = 0\n"
    "while not run.should_stop():\n"
    "    run.log({'loss': 1 / (step + 1)}, step=step)\n"
    "    step += 1\n"
    "    time.sleep(0.01)\n"
    "folder = run.checkpoint_dir(step)\n"
    "(folder / f'rank_{run.rank}.pt').write_text('weights')\n"
    "run.log({'saved': 1}, step=step)\n"
    "sys.exit(0)\n"
)


def test_workers_of_torchrun_save_when_the_shim_is_told_to_stop(shim, until, tmp_path, monkeypatch):
    """SIGTERM to the shim reaches every rank through torchrun; each saves, and none is left."""
    pytest.importorskip("torch")
    monkeypatch.setenv("PYTHONPATH", str(Path(orchestrator.__file__).parents[1]))
    program = tmp_path / "train.py"
    program.write_text(TRAIN)
    one = shim()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    one.start([*torchrun, "--nproc-per-node", "2", str(program)], grace=60)

    def points(name):
        found = []
        for rank in (0, 1):
            files = one.attempt.glob(f"events-*-{rank}-*.jsonl")
            text = "".join(file.read_text() for file in files)
            found.append([line for line in text.splitlines() if f'"{name}"' in line])
        return found

    until(lambda: all(len(lines) > 5 for lines in points("loss")))
    (one.attempt / "stop.json").write_text(json.dumps({"by": "test", "why": "", "time": 0}))
    one.process.terminate()
    record = one.wait(120)
    assert [len(lines) for lines in points("saved")] == [1, 1]
    assert len(list((one.run / "checkpoints").rglob("rank_*.pt"))) == 2
    assert record["survivors"] == 0
    assert one.living() == []
