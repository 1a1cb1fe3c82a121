"""Run folders as `exp` and programs write them, made by hand: no process is started."""

import json

from orchestrator.codec import encode
from orchestrator.domain.run import Command, ExitRecord, Phase, Published, RunRecord, TicketRef

TRAIN = Command(phase=Phase.TRAIN, argv=("python", "train.py"))


def line(step, time=None, **metrics):
    """A line of points; `train__loss` in a keyword stands for `train/loss`."""
    values = {name.replace("__", "/").replace("_AT_", "@"): v for name, v in metrics.items()}
    return json.dumps({"step": step, "time": float(time or step), "metrics": values}) + "\n"


def make_run(workspace, files, *, ticket="T-0001", **record):
    """A run that has ended; `files` are the texts of its files by their names below its folder."""
    folder = workspace.create_run()
    values = {"id": folder.id, "created": 1.0, "host": "h", "cwd": "/", "commands": (TRAIN,)}
    title = {"path": f"tickets/{ticket}.md", "title": "Learn", "blob": "b"}
    values["ticket"] = TicketRef(id=ticket, **title) if ticket else None
    folder.record_file.write_bytes(encode(RunRecord(**values | record)))
    folder.attempt(1).path.mkdir()
    for name, text in files.items():
        path = folder.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for attempt in folder.attempts():
        end = ExitRecord(code=0, signal=None, started=1.0, ended=61.0, recorded_by="shim")
        attempt.exit_file.write_bytes(encode(end))
    folder.published_file.write_bytes(encode(Published(time=62.0)))
    return folder
