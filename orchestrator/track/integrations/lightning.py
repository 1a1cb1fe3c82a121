"""Lightning: `Trainer(logger=ExpLogger(), callbacks=[ExpStop()])`."""

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from orchestrator import track
from orchestrator.track.integrations.agreement import Agreement

SAVED = 75  # exit code: checkpointed, start me again


class ExpLogger(Logger):
    """What modules log becomes points at the global step; checkpoints are sealed.

    Keywords are labels of the run, as for `track.init`. The run ends with the program, since one
    program may fit, validate and test.
    """

    def __init__(self, **labels: Any) -> None:
        super().__init__()
        self._labels = labels
        self._step: int | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> track.Run:
        """The run, begun when it is first needed; on other ranks a thing that does nothing."""
        return track.init(**self._labels) if track.run is None else track.run

    @property
    def name(self) -> str | None:
        """The run's id; None on other ranks than 0."""
        return self.experiment.id if rank_zero_only.rank == 0 else None

    @property
    def version(self) -> str:
        """The attempt: Lightning saves under save_dir/name/version/checkpoints."""
        return f"attempt-{os.environ.get('EXP_ATTEMPT', '1')}"

    @property
    def save_dir(self) -> str | None:
        """The folder of all runs; None on other ranks than 0, which are told where to save."""
        return str(self.experiment.dir.parent) if rank_zero_only.rank == 0 else None

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write a point."""
        # Each log of a step repeats the epoch; the same step twice would look like a new beginning.
        again = {"epoch"} if step is not None and step == self._step else set()
        self._step = step
        named = {key: value for key, value in metrics.items() if key not in again}
        self.experiment.log(named, step=step)

    @rank_zero_only
    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace, *_args: Any, **_options: Any
    ) -> None:
        """Write the hyper-parameters down."""
        self.experiment.config.update(params)

    @rank_zero_only
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Seal the file that was just saved."""
        path = getattr(checkpoint_callback, "_last_checkpoint_saved", "")
        if path:
            step = getattr(checkpoint_callback, "_last_global_step_saved", self.experiment.step)
            self.experiment.checkpoint(path, step, {"monitor": checkpoint_callback.monitor})


class ExpStop(Callback):
    """When somebody asks for the end: save, seal, and end the program with code 75."""

    def __init__(self) -> None:
        self._agreement = Agreement()

    def on_train_batch_end(
        self, trainer: Trainer, _module: LightningModule, *_batch: Any, **_given: Any
    ) -> None:
        """Ask after each batch.

        Raises:
            SystemExit: somebody asked; a checkpoint is saved.
        """
        # Lightning itself keeps SIGTERM from ending the other ranks.
        asked = trainer.is_global_zero and track.should_stop()
        share = trainer.strategy.broadcast if trainer.world_size > 1 else None
        if self._agreement.stops(asked, share):
            _save_and_exit(trainer)

    def on_exception(
        self, trainer: Trainer, _module: LightningModule, exception: BaseException
    ) -> None:
        """Save also where Lightning was first to end the training for SIGTERM, on all ranks.

        Raises:
            SystemExit: it did; a checkpoint is saved.
        """
        if isinstance(exception, SIGTERMException):
            _save_and_exit(trainer)


def _save_and_exit(trainer: Trainer) -> NoReturn:
    step = trainer.global_step
    folder = track.checkpoint_dir(step) if trainer.is_global_zero else Path()
    path = trainer.strategy.broadcast(str(folder / "lightning.ckpt"))
    trainer.save_checkpoint(path)
    if trainer.is_global_zero:
        track.checkpoint(path, step)
    raise SystemExit(SAVED)
