"""A ticket whose programs are tests/rehearsal/trainer.py, with a fault if one is wanted."""

import json
from pathlib import Path

import pytest

from orchestrator.actions.rehearsal.conduct import rehearse_ticket
from orchestrator.actions.rehearsal.standing import piece_of, standing_of
from orchestrator.workspace import Workspace

TRAINER = Path(__file__).with_name("trainer.py")
EVALUATE = '[evaluate]\ncommand = ["{python}", "experiments/e/a.py", "evaluate"]\n'
PARAMS = {"steps": 1000, "accumulation": 2, "eval_every": 200, "checkpoint_every": 200}


class Silence:
    """Nobody watches."""

    def begin(self, what):
        """Pass over what begins."""

    def end(self, step):
        """Pass over a result."""


class Theatre:
    """A workspace in which trainings are rehearsed."""

    def __init__(self, lab):
        self.lab = lab
        self.workspace = Workspace(lab.root)

    def write(
        self, fault="", *, evaluates=True, more="", program=TRAINER, grace=2, nproc=1, **params
    ):
        """Write the ticket, its spec and its program, and commit them."""
        values = {**PARAMS, "fault": fault, **params}
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        spec = f"{EVALUATE if evaluates else ''}[params]\n{lines}[stop]\ngrace = {grace}\n{more}"
        self.lab.ticket()
        self.lab.experiment(program.read_text(), f"nproc = {nproc}\n{spec}")
        self.lab.commit()

    def rehearse(self):
        """A rehearsal in this process; its programs are processes of their own."""
        piece = piece_of(self.workspace, "1", ())
        standing = standing_of(self.workspace, piece)
        return rehearse_ticket(self.workspace, piece, standing, Silence())

    @property
    def folder(self):
        """Where the rehearsals of the ticket lie."""
        return self.workspace.state / "rehearsals" / "T-0001"


@pytest.fixture
def theatre(lab):
    """A workspace without a ticket yet."""
    return Theatre(lab)
