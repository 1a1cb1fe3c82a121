"""In the manner of small GPT trainers: global settings, one dict of logs per evaluation."""

import math
import random
import time

import wandb

wandb_log = True
wandb_project = "owt"
wandb_run_name = "gpt2-" + str(int(time.time()))
eval_interval = 20
log_interval = 5
max_iters = 60
learning_rate = 6e-4
min_lr = 6e-5
warmup_iters = 10
config_keys = [
    k for k, v in globals().items() if not k.startswith("_") and isinstance(v, (int, float, str))
]
config = {k: globals()[k] for k in config_keys}
rng = random.Random(1337)
master_process = True


def get_lr(it):
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    ratio = (it - warmup_iters) / (max_iters - warmup_iters)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (learning_rate - min_lr)


def estimate_loss(it):
    return {split: 10.9 / (1 + it / 9) + rng.random() / 10 for split in ("train", "val")}


if wandb_log and master_process:
    wandb.init(project=wandb_project, name=wandb_run_name, config=config)

best_val_loss = 1e9
running_mfu = -1.0
iter_num = 0
while True:
    lr = get_lr(iter_num)
    if iter_num % eval_interval == 0 and master_process:
        losses = estimate_loss(iter_num)
        if wandb_log:
            wandb.log(
                {
                    "iter": iter_num,
                    "train/loss": losses["train"],
                    "val/loss": losses["val"],
                    "lr": lr,
                    "mfu": running_mfu * 100,
                }
            )
        best_val_loss = min(losses["val"], best_val_loss)
    iter_num += 1
    if iter_num > max_iters:
        break
