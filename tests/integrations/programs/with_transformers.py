"""Train a tiny GPT-2 on random tokens: `with_transformers.py MAX_STEPS SAVE_STEPS`."""

import json
import sys
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from orchestrator import track
from orchestrator.track.integrations.transformers import ExpCallback


class Tokens(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        made = torch.Generator().manual_seed(index)
        tokens = torch.randint(32, (8,), generator=made)
        return {"input_ids": tokens, "labels": tokens}


max_steps, save_steps = map(int, sys.argv[1:])
model = GPT2LMHeadModel(
    GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=32, n_positions=8, bos_token_id=0)
)
settings = TrainingArguments(
    output_dir="saved",
    max_steps=max_steps,
    per_device_train_batch_size=4,
    logging_steps=2,
    eval_strategy="steps",
    eval_steps=4,
    save_steps=save_steps,
    save_total_limit=2,
    report_to=[],
    use_cpu=True,
    disable_tqdm=True,
    dataloader_pin_memory=False,
    learning_rate=1e-3,
    hub_token="hf_secret",
)
trainer = Trainer(
    model=model,
    args=settings,
    train_dataset=Tokens(),
    eval_dataset=Tokens(),
    callbacks=[ExpCallback(project="tiny")],
)
trainer.train(resume_from_checkpoint=track.resume_path())
if track.should_stop():
    raise SystemExit(75)
trainer.predict(Tokens())
if trainer.is_world_process_zero():
    Path("history.json").write_text(json.dumps(trainer.state.log_history))
