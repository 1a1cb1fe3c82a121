"""Fit y = 3x + 1 by gradient descent: plain Python, two seconds.

It goes on where it was stopped or killed, and takes part in `exp ticket rehearse`.
"""

import json
import random
import time

from orchestrator import track

run = track.init(config={"lr": 0.05, "steps": 200, "seed": 0})
rehearsal = track.rehearsal()  # None, unless this is a rehearsal
end = rehearsal.steps if rehearsal else run.config["steps"]
every = rehearsal.every if rehearsal else 100
state = {"step": 0, "slope": 0.0, "offset": 0.0}
if saved := track.resume_path():  # None on a fresh start
    state = json.loads(saved.read_text())

for step in range(state["step"] + 1, end + 1):
    x = random.Random(f"{run.config['seed']} {step}").uniform(-1, 1)
    error = state["slope"] * x + state["offset"] - (3 * x + 1)
    state["slope"] -= run.config["lr"] * 2 * error * x
    state["offset"] -= run.config["lr"] * 2 * error
    state["step"] = step
    run.log({"train/loss": error**2}, step=step)
    time.sleep(0.01)
    stop = run.should_stop()
    if stop or step % every == 0 or step == end:
        with run.phase("checkpoint"):
            weights = run.checkpoint_dir(step) / "weights.json"
            weights.write_text(json.dumps(state))
            run.checkpoint(weights, step)
    if stop:
        run.finish(75)
        raise SystemExit(75)  # saved; start me again
    if step % every == 0 or step == end:
        with run.phase("eval"):
            run.log({"eval/error": abs(state["slope"] - 3) + abs(state["offset"] - 1)}, step=step)

run.finish()
print(f"y = {state['slope']:.3f} x + {state['offset']:.3f}")
