"""Fit and test a linear module with Lightning: `with_lightning.py MAX_STEPS`."""

import sys

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from orchestrator import track
from orchestrator.track.integrations.lightning import ExpLogger, ExpStop


class Module(LightningModule):
    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters("lr")
        self.lr = lr
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch):
        loss = self.layer(batch[0]).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch):
        self.log("val/loss", self.layer(batch[0]).square().mean())

    def test_step(self, batch):
        self.log("test/loss", self.layer(batch[0]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


data = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.ones(64, 4)), batch_size=4, num_workers=0
)
saved = track.resume_path()
trainer = Trainer(
    accelerator="cpu",
    devices=1,
    max_steps=int(sys.argv[1]),
    log_every_n_steps=2,
    logger=ExpLogger(project="tiny"),
    callbacks=[ExpStop(), ModelCheckpoint(every_n_train_steps=8, save_top_k=-1)],
    enable_progress_bar=False,
    enable_model_summary=False,
)
module = Module()
trainer.fit(module, data, data, ckpt_path=saved)
trainer.test(module, data, verbose=False)
track.finish()
