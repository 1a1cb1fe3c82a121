"""What a rehearsal looks up beside its programs: identity, surroundings, GPUs, old folders."""

import os
import socket
from dataclasses import replace

from orchestrator.actions.rehearsal.checkpoints import forget_after, lend, problem_of
from orchestrator.actions.rehearsal.folders import Rehearsals
from orchestrator.actions.rehearsal.standing import piece_of, standing_of
from orchestrator.actions.rehearsal.surroundings import surroundings_of
from orchestrator.domain.rehearsal import (
    Forecast,
    Rehearsal,
    RehearsalKey,
    RehearsalStep,
    StepState,
)
from orchestrator.fsio import to_json
from orchestrator.rehearsal.plan import plan_of
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.workspace import RunFolder


def look(theatre, *settings):
    piece = piece_of(theatre.workspace, "1", settings)
    return piece, standing_of(theatre.workspace, piece).key


def around(theatre):
    piece = piece_of(theatre.workspace, "1", ())
    standing = standing_of(theatre.workspace, piece)
    plan = plan_of(piece.record, piece.record.rehearse)
    return surroundings_of(theatre.workspace, piece.record, plan, piece.mirror, standing.gpus)


def test_a_key_changes_with_code_and_spec_and_with_nothing_that_people_write(theatre):
    """An edited or a new program is other code; a ticket, a report or a note is none."""
    theatre.write()
    _, before = look(theatre)
    theatre.lab.write("notes.md", "looked at it")
    theatre.lab.write("experiments/e/reports/T-0001/curve.svg", "<svg/>")
    theatre.lab.ticket(title="Learn more")
    assert look(theatre)[1] == before
    assert look(theatre, "steps=2000")[1] == replace(
        before, spec=look(theatre, "steps=2000")[1].spec
    )
    assert look(theatre, "steps=2000")[1].spec != before.spec
    spec = theatre.lab.root / "experiments/e/a.toml"
    spec.write_text(spec.read_text() + '[rehearse]\nwhen = "never"\n')
    assert look(theatre)[1] == before
    theatre.lab.write("experiments/e/helper.py", "untracked")
    untracked = look(theatre)[1]
    theatre.lab.write("experiments/e/helper.py", "edited")
    edited = look(theatre)[1]
    assert len({before.code, untracked.code, edited.code}) == 3
    assert {edited.environment, edited.device} == {before.environment, before.device}


def test_a_key_is_known_without_git(theatre):
    """Where there is no repository, what lies beside the spec is the code."""
    theatre.write()
    (theatre.lab.root / ".git").rename(theatre.lab.root / "kept-elsewhere")
    _, before = look(theatre)
    theatre.lab.write("experiments/e/a.py", "pass")
    _, after = look(theatre)
    assert before.code is not None
    assert after.code not in {None, before.code}


def test_surroundings_name_what_is_missing_taken_or_silent(theatre, monkeypatch):
    """Paths of parameters and options, a port in use, untracked files, a mirror nobody serves."""
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else gets it
        port, silent = busy.getsockname()[1], bound.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        theatre.write(
            more=f'[mirror]\nmlflow = "http://127.0.0.1:{silent}/api"\n'
            f'[mirror.wandb]\nurl = "http://127.0.0.1:{port}"\n',
            data_path="experiments/none.bin",
            model="org/name",
            output_dir="/nowhere/out",
            corpus="/nowhere/corpus",
            tokenizer_file="experiments/e/a.py",
        )
        spec = theatre.lab.root / "experiments/e/a.toml"
        options = '"--data=/nowhere/x", "--vocab", "./none.txt", "--out", "/nowhere/y"'
        spec.write_text(spec.read_text().replace('a.py"]', f'a.py", {options}]', 1))
        theatre.lab.write("new.py", "")
        found = around(theatre)
    assert found.missing == (
        "--data /nowhere/x",
        "--vocab ./none.txt",
        "corpus = /nowhere/corpus",
        "data_path = experiments/none.bin",
    )
    assert found.taken == found.ports == (port,)
    assert any("new.py" in words for words in found.git)
    assert found.mirrors["wandb"] is None
    assert str(silent) in found.mirrors["mlflow"]
    assert found.disk_free > 0
    assert found.memory_available < found.memory_total


def test_the_size_of_checkpoints_is_that_of_an_earlier_run(theatre):
    """The newest run of the ticket tells, if it has saved any."""
    theatre.write(evaluates=False, steps=20, eval_every=10, filling=70_000)
    assert around(theatre).checkpoint is None
    assert theatre.lab.exp("ticket", "start", "1").returncode == 0
    theatre.lab.published()
    found = around(theatre)
    assert 70_000 < found.checkpoint < 71_000
    assert found.log > 0


def result_of(theatre, *, failed):
    state = StepState.FAILED if failed else StepState.PASSED
    piece = piece_of(theatre.workspace, "1", ())
    step = RehearsalStep(number=1, name="training", state=state, why="", seconds=1, budget=9)
    return Rehearsal(
        ticket="T-0001",
        experiment="experiments/e/a.toml",
        time=1.0,
        seconds=1.0,
        key=RehearsalKey(code="c", spec="s", environment="e", device="d"),
        plan=plan_of(piece.record, piece.record.rehearse),
        steps=(step,),
        forecast=Forecast(),
    )


def test_of_old_rehearsals_the_newest_of_either_kind_stay(theatre):
    """One that passed and one that failed; checkpoints only of one that failed."""
    theatre.write()
    rehearsals = Rehearsals(workspace=theatre.workspace, ticket="T-0001")
    stamps = []
    for at, failed in enumerate((True, False, True, False, False)):
        stamp = rehearsals.create()
        stamp.stage("control").checkpoints.mkdir(parents=True)
        result = result_of(theatre, failed=failed)
        rehearsals.keep(stamp, result)
        os.utime(stamp.path, (at, at))
        stamps.append(stamp)
    left = {stamp.path for stamp in rehearsals.stamps()}
    assert left == {stamps[2].path, stamps[4].path}
    assert stamps[2].stage("control").checkpoints.exists()
    assert not stamps[4].stage("control").checkpoints.exists()
    assert rehearsals.newest() == result


def saved(folder, step, data=b"data", path="state.bin"):
    """A checkpoint as a program would have sealed it."""
    import hashlib

    place = folder.checkpoints / f"step_{step}"
    place.mkdir(parents=True)
    (place / path).write_bytes(data)
    entry = {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"step": step, "time": float(step), "attempt": 1, "path": ".", "files": [entry]}
    (place / "manifest.json").write_bytes(to_json(manifest))
    return place


def test_a_checkpoint_is_proved_by_every_byte(tmp_path):
    """A changed byte, a changed size and a lost file are each told apart from a whole one."""
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3, 4):
        saved(folder, step)
    (folder.checkpoints / "step_2" / "state.bin").write_bytes(b"dat4")
    (folder.checkpoints / "step_3" / "state.bin").write_bytes(b"longer")
    shelf = CheckpointShelf().of(folder)
    (folder.checkpoints / "step_4" / "state.bin").unlink()
    whole, changed, longer, lost = (problem_of(folder, each) for each in shelf)
    assert whole is None
    assert "hash differs" in changed
    assert "6 bytes, its manifest says 4" in longer
    assert "No such file" in lost


def test_a_checkpoint_is_lent_and_later_ones_are_forgotten(tmp_path):
    """The newest goes into the other folder, whole and under the same step; nothing else does."""
    source, target = RunFolder(tmp_path / "control"), RunFolder(tmp_path / "alone")
    for step in (3, 6, 10):
        saved(source, step, data=b"%d" % step)
    (source.path / "secret.json").write_text("{}")
    forget_after(source, 6)
    assert [each.step for each in CheckpointShelf().of(source)] == [3, 6]
    assert lend(source, target) == 6
    assert [each.step for each in CheckpointShelf().of(target)] == [6]
    files = sorted(p.relative_to(target.path).as_posix() for p in target.path.rglob("*.*"))
    assert files == ["checkpoints/step_6/manifest.json", "checkpoints/step_6/state.bin"]
    assert lend(RunFolder(tmp_path / "empty"), target) is None
