"""What a program said of itself: its model, its data, and the versions that it ran on."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.domain.point import Event
from orchestrator.report.words import flat
from orchestrator.watch.reporting.subject import Subject

_MOST = 40
_NUMBERS = re.compile(
    r"(?:^|_)(?:n_|num_)?(?:params?|parameters?|trainable|frozen|layers|flops|vocab(?:_size)?|classes"
    r"|examples|samples|batches|tokens|rows|images|puzzles|dataset|dataset_size|train_size|val_size"
    r"|test_size)(?:_|$)",
    re.IGNORECASE,
)
_VERSIONS = {
    "python": "python",
    "torch": "torch",
    "cuda": "CUDA",
    "world_size": "processes",
}


def reported_by(subject: Subject) -> tuple[tuple[str, str], ...]:
    """Names and values in the program's own order, versions last; the newest word counts.

    Of configuration and summary those that tell how large model and data are, where the spec does
    not say so too.
    """
    events = subject.reader.events(subject.record.id)
    set_already = dict(flat(dict(subject.settings)))
    found = {
        name: f"{int(value):,}" if value.isdecimal() else value
        for event in events
        if event.name in {"config", "summary"}
        for name, value in flat(dict(event.data))
        if _NUMBERS.search(name.rpartition(".")[2]) and set_already.get(name) != value
    }
    found = dict(list(found.items())[:_MOST])
    return tuple((found | dict(_versions(events))).items())


def _versions(events: list[Event]) -> Iterator[tuple[str, str]]:
    """Of the newest start: the interpreter, libraries, the driver, and how many processes."""
    started: Mapping[str, Any] = next(
        (event.data for event in reversed(events) if event.name == "start"), {}
    )
    for key, name in _VERSIONS.items():
        if started.get(key) is not None:
            yield name, str(started[key])
    drivers = [e.data["driver"] for e in events if e.name == "gpu" and e.data.get("driver")]
    if drivers:
        yield "driver", str(drivers[-1])
