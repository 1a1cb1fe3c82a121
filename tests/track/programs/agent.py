"""In the manner of RL and research code: a class that holds its run, explicit steps, two runs."""

import json
import random
import tempfile
from pathlib import Path

import wandb


class Trainer:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.run = wandb.init(
            project="ppo",
            name=f"seed{seed}",
            group="CartPole",
            job_type="train",
            notes="baseline",
            config={"seed": seed, "optimizer": {"name": "adam", "lr": 3e-4}},
            reinit=True,
            resume="allow",
            id=f"ppo-{seed}",
            settings=wandb.Settings(silent=True),
        )
        self.run.define_metric("charts/*", step_metric="global_step")
        self.run.define_metric("losses/*", step_metric="global_step")
        self.global_step = 0

    def update(self):
        self.global_step += 128
        self.run.log(
            {
                "charts/episodic_return": self.rng.uniform(0, 200),
                "charts/SPS": self.rng.randrange(1000),
                "losses/value_loss": self.rng.random(),
                "clipped": self.rng.random() < 0.5,
                "global_step": self.global_step,
            },
            step=self.global_step,
        )

    def save(self):
        artifact = wandb.Artifact("agent", type="model", metadata={"step": self.global_step})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "agent.json"
            path.write_text(json.dumps({"step": self.global_step}))
            artifact.add_file(str(path))
            self.run.log_artifact(artifact, aliases=["latest"])
        self.run.log(
            {"curve": wandb.plot.line_series([1, 2], [[3, 4]], keys=["a"], title="t", xname="x")}
        )

    def close(self):
        self.run.name = self.run.name + "-done"
        self.run.tags += ("done",)
        self.run.summary.update({"steps": self.global_step})
        assert self.run.config["optimizer"]["lr"] == 3e-4
        assert "seed" in self.run.config
        assert dict(self.run.config)["seed"] == self.run.config.seed
        self.run.finish(exit_code=0)


for seed in (1, 2):
    trainer = Trainer(seed)
    for _ in range(5):
        trainer.update()
    trainer.save()
    trainer.close()
    wandb.finish()
