"""Hugging Face Transformers: `Trainer(..., callbacks=[ExpCallback()])`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from orchestrator import track
from orchestrator.track.integrations.accelerate import Stop


class ExpCallback(TrainerCallback):
    """Logs and evaluations become points at the global step, checkpoints are sealed.

    A request to stop ends the training after a step that saves; `track.should_stop()` then says so
    to the program behind `trainer.train()`. Keywords are labels of the run, as for `track.init`.
    """

    def __init__(self, **labels: Any) -> None:
        self._labels = labels
        self._stop = Stop()
        self._step = -1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **given: Any
    ) -> None:
        """Begin the run and write down both configurations."""
        run = track.init(**self._labels)
        if state.is_world_process_zero:
            settings = getattr(given.get("model"), "config", None)
            run.config.update({"trainer": args.to_dict(), "max_steps": state.max_steps})
            if settings is not None and hasattr(settings, "to_dict"):
                run.config.update({"model": settings.to_dict()})

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: Mapping[str, Any],
        **_given: Any,
    ) -> None:
        """Write a point; what is told of the whole training at its end goes into the summary."""
        if not state.is_world_process_zero:
            return
        if "train_runtime" in logs:
            track.current().summary.update(logs)
            return
        # Each log of a step repeats the epoch; the same step twice would look like a new beginning.
        again = {"epoch"} if state.global_step == self._step else set()
        self._step = state.global_step
        named = {_named(key): value for key, value in logs.items() if key not in again}
        track.log(named, step=state.global_step)

    def on_predict(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        metrics: Mapping[str, Any],
        **_given: Any,
    ) -> None:
        """Write the metrics of `trainer.predict`, which no log tells."""
        if state.is_world_process_zero:
            track.log({_named(key): metrics[key] for key in metrics}, step=state.global_step)

    def on_step_end(
        self, _args: TrainingArguments, _state: TrainerState, control: TrainerControl, **_given: Any
    ) -> None:
        """Stop after this step if somebody asked, and save."""
        if self._stop.asked():
            control.should_training_stop = control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_given: Any
    ) -> None:
        """Seal the checkpoint once all ranks have written their part of it."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero and args.output_dir:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            track.checkpoint(folder, state.global_step)


def _named(name: str) -> str:
    """`eval_loss` as `eval/loss`, `loss` as `train/loss`, as other trackers call them."""
    group, _, rest = name.partition("_")
    return f"{group}/{rest}" if group in {"eval", "test"} and rest else f"train/{name}"
