"""Fit y = 3x + 1 by gradient descent: plain Python, two seconds."""

import json
import random
import time

from orchestrator import track

run = track.init(config={"lr": 0.05, "steps": 200, "seed": 0})
rng = random.Random(run.config["seed"])
slope, offset = 0.0, 0.0

for step in range(1, run.config["steps"] + 1):
    x = rng.uniform(-1, 1)
    error = slope * x + offset - (3 * x + 1)
    slope -= run.config["lr"] * 2 * error * x
    offset -= run.config["lr"] * 2 * error
    run.log({"train/loss": error**2}, step=step)
    time.sleep(0.01)

with run.phase("eval"):
    run.log({"eval/error": abs(slope - 3) + abs(offset - 1)}, step=step)
weights = run.checkpoint_dir(step) / "weights.json"
weights.write_text(json.dumps({"slope": slope, "offset": offset}))
run.checkpoint(weights, step)
run.finish()
print(f"y = {slope:.3f} x + {offset:.3f}")
