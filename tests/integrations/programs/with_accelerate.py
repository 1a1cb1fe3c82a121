"""A training loop of one's own with Accelerate: `with_accelerate.py STEPS`."""

import sys

import torch
from accelerate import Accelerator

from orchestrator import track
from orchestrator.track.integrations.accelerate import ExpTracker, Stop

accelerator = Accelerator(cpu=True, log_with=ExpTracker(tags=["tiny"]))
accelerator.init_trackers("tiny", config={"lr": 0.1, "steps": int(sys.argv[1])})
model = torch.nn.Linear(4, 1)
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
first = 0
if saved := track.resume_path():
    accelerator.load_state(saved)
    first = int(saved.name.removeprefix("step_"))
stop = Stop()
for step in range(first + 1, int(sys.argv[1]) + 1):
    loss = model(torch.ones(2, 4)).square().mean()
    optimizer.zero_grad()
    accelerator.backward(loss)
    optimizer.step()
    accelerator.log({"train/loss": loss}, step=step)
    if stop.asked():
        run = accelerator.get_tracker("exp", unwrap=True)
        accelerator.save_state(folder := run.checkpoint_dir(step))
        run.checkpoint(folder, step)
        raise SystemExit(75)
accelerator.end_training()
