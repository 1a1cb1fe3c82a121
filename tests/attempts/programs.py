"""Programs that fail as real ones do, and go on from their checkpoints."""

# Trains six steps; BODY is executed after each, with `attempt` and `step`.
RESUMING = """
import os, signal, sys, time
from pathlib import Path
from orchestrator import track
run = track.init()
attempt = int(os.environ["EXP_ATTEMPT"])
newest = track.resume_path()
step = int((newest / "step").read_text()) if newest else 0
print("attempt", attempt, "begins behind step", step, flush=True)
def save():
    folder = run.checkpoint_dir(step)
    (folder / "step").write_text(str(step))
    run.checkpoint(folder, step)
while step < 6:
    step += 1
    run.log({"train/loss": 1 / step}, step=step)
    BODY
run.finish()
"""


def resuming(body):
    """A program that resumes from its newest checkpoint."""
    return RESUMING.replace("BODY", body.strip().replace("\n", "\n    "))


RETRY = "[params]\nsteps = 6\n[retry]\nattempts = {attempts}\nbackoff = 0.2\nmax_backoff = 0.4\n"
