import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from orchestrator.codec import decode, encode
from orchestrator.domain.attempt import AttemptRequest, Failure
from orchestrator.domain.criterion import Criterion
from orchestrator.domain.experiment import Experiment
from orchestrator.domain.finding import KnownFinding, Thresholds
from orchestrator.domain.run import ExitRecord, Identity, MetricSpec, Published, RunRecord
from orchestrator.errors import InvalidFileError
from orchestrator.fitting import MisfitError, fit

COMMAND = {"phase": "train", "argv": ["python", "a.py"]}
RUN = {"id": "R-000001", "created": 5, "host": "h", "cwd": "/w", "commands": [COMMAND]}
READING = {"kind": "threshold", "clauses": [{"subject": "metric", "metric": "a", "op": "<"}]}
CLAIM = {"key": "k", "text": "t", "section": "", "required": True, "reading": READING}
QUOTE = {"source": "a", "text": "b"}
FINDING = {"id": "x", "severity": "warn", "title": "t", "arithmetic": "1", "meaning": "m"}
FINDING |= {"action": "a", "evidence": [QUOTE]}
PROCESS = {"pid": 1, "start_ticks": 2, "boot_id": "b", "host": "h"}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (RunRecord, RUN),
        (RunRecord, RUN | {"metrics": {"a": {"chance": 0.5}, "b": {"chance": "eval/c"}}}),
        (RunRecord, RUN | {"criteria": [CLAIM], "params": {"a": [1, {"b": None}]}, "newer": 1}),
        (Criterion, CLAIM | {"bindings": {"a": "train/a"}}),
        (Identity, PROCESS | {"pid_namespace": None}),
        (ExitRecord, {"code": 0, "signal": None, "started": 1, "ended": 2.5, "recorded_by": "x"}),
        (tuple[KnownFinding, ...], [{"finding": FINDING, "opened": 1, "seen": 2}]),
        (AttemptRequest, {"by": "a", "why": "b", "time": 1, "commands": [COMMAND]}),
        (Published, {"time": 1.5, "problems": ["no git"]}),
    ],
)
def test_what_fits_is_what_the_validator_makes_of_it(kind, data):
    """A record that plainly fits is equal, type by type, to the one that pydantic reads."""
    assert repr(fit(kind, data)) == repr(TypeAdapter(kind).validate_python(data))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Identity, PROCESS | {"pid": "1"}),
        (Identity, PROCESS | {"pid": True}),
        (Identity, {"pid": 1}),
        (Published, []),
        (Thresholds, {"spikes": 1.0}),
        (MetricSpec, {"chance": 1}),
        (Failure, {"cause": "fire", "evidence": "", "fingerprint": "", "retry": True, "why": ""}),
        (KnownFinding, {"finding": FINDING | {"evidence": []}, "opened": 1, "seen": 2}),
        (Experiment, {"path": "a", "train": {"command": "python"}}),
    ],
)
def test_what_does_not_fit_is_left_to_the_validator(kind, data):
    """Other types, unknown words, what is missing, what a class itself refuses: no misreading."""
    with pytest.raises(MisfitError):
        fit(kind, data)


def test_the_validator_converts_and_explains_the_rest():
    """`"7"` for a number is converted as ever; a wrong value is told with file, key and value."""
    assert decode(Identity, PROCESS | {"pid": "7"}, source="a").pid == 7
    with pytest.raises(InvalidFileError, match=r"a\.json: pid = 'x'"):
        decode(Identity, PROCESS | {"pid": "x"}, source="a.json")


def test_records_of_ours_are_read_without_the_validator(tmp_path):
    """Who reads what we wrote does not load pydantic, which costs 100 ms."""
    file = tmp_path / "run.json"
    file.write_bytes(encode(fit(RunRecord, RUN | {"criteria": [CLAIM]})))
    program = (
        "import sys; from pathlib import Path; from orchestrator.codec import read_record; "
        "from orchestrator.domain.run import RunRecord; "
        "read_record(RunRecord, Path(sys.argv[1])); sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(file)], check=False).returncode == 0
