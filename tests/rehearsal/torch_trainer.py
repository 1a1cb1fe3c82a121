"""A training in PyTorch with faults that only PyTorch can have; `params.fault` names it."""

import json
import os
from pathlib import Path

import torch

from orchestrator import track

CONFIG = json.loads(Path(os.environ["EXP_CONFIG"]).read_text())
FAULT = CONFIG["fault"]
torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, CONFIG["steps"])


def evaluate():
    """The mean output, scaled in place."""
    with torch.inference_mode(FAULT == "inference"), torch.no_grad():
        found = model(torch.ones(2, 4))
    return float(found.mul_(2.0).mean())


told, run = track.rehearsal(), track.init()
for step in range(1, told.steps + 1):
    for _ in range(CONFIG["accumulation"]):
        loss = (model(torch.ones(2, 4)) ** 2).mean()
        (loss / CONFIG["accumulation"]).backward()
        if FAULT == "micro-schedule":
            scheduler.step()
    optimizer.step()
    optimizer.zero_grad()
    if FAULT != "micro-schedule":
        scheduler.step()
    run.log({"train/loss": float(loss)}, step=step)
    if step % told.every == 0:
        with run.phase("eval"):
            run.log({"val/mean": evaluate()}, step=step)
run.finish()
