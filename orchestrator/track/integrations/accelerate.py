"""Hugging Face Accelerate: `Accelerator(log_with=ExpTracker())`."""

from collections.abc import Mapping
from typing import Any

from accelerate import PartialState
from accelerate.tracking import GeneralTracker, on_main_process
from accelerate.utils import broadcast_object_list

from orchestrator import track
from orchestrator.track.integrations.agreement import Agreement, Plan


class ExpTracker(GeneralTracker):
    """What `accelerator.log` is given becomes points; keywords are labels, as for `track.init`."""

    name = "exp"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, **labels: Any) -> None:
        super().__init__()
        self._labels = labels

    @property
    def tracker(self) -> track.Run:
        """The run; it is begun if `accelerator.init_trackers` did not."""
        return track.current()

    @on_main_process
    def start(self) -> None:
        """Begin the run."""
        track.init(**self._labels)

    @on_main_process
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Write the configuration down."""
        self.tracker.config.update(values)

    @on_main_process
    def log(self, values: Mapping[str, Any], step: int | None = None, **_options: Any) -> None:
        """Write a point."""
        self.tracker.log(values, step=step)

    @on_main_process
    def finish(self) -> None:
        """End the run."""
        self.tracker.finish()


class Stop:
    """Asks whether to stop; the answer is the same on all ranks."""

    def __init__(self) -> None:
        self._agreement = Agreement()

    def asked(self) -> bool:
        """Whether somebody asked for the end. Call it on every rank after every step."""
        asked = track.should_stop()  # on each rank: SIGTERM comes to all, and must not end one
        return self._agreement.stops(asked, _share if PartialState().num_processes > 1 else None)


def _share(plan: Plan) -> Plan:
    shared: Plan = broadcast_object_list([plan])[0]
    return shared
