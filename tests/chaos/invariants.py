"""What must hold when everything has come to rest, whatever was killed when."""

import fcntl
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from chaos.world import World, processes

from orchestrator.actions.rebuild import rebuild_index
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.workspace import Workspace

OURS = re.compile(rb"<!-- exp:begin (\S+) -->.*?<!-- exp:end \1 -->", re.DOTALL)
FIELDS = re.compile(rb"(?m)^\*\*(Status|Phase)\*\*:.*$")
TICKED = re.compile(rb"(?m)^- \[[ xX]\]")
STEPS = re.compile(r"(?m)^kind, steps, pause = '\w+', (\d+),")
POINTS = """SELECT source.path, point.step, count(*) FROM point
    JOIN stream ON stream.id = point.stream JOIN source ON source.id = stream.source
    WHERE source.run = ? AND stream.name = ? GROUP BY 1, 2"""


def violations(world: World) -> list[str]:
    """Everything that is wrong with a workspace at rest."""
    if not world.runs():  # every start was killed before it launched anything
        return [*_processes(world), *_git(world)]
    found = [*_processes(world), *_records(world), *_points(world), *_git(world)]
    found += [text for number in range(1, len(world.kinds) + 1) for text in _ticket(world, number)]
    return [*found, *_verdicts(world), *_litter(world), *_rows(world)]


def _processes(world: World) -> Iterator[str]:
    left = processes(world.root)
    if left:
        yield f"processes are left: {left}"
    for path in world.root.glob(".exp/**/*.lock"):
        with path.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield f"{path} is held"


def _records(world: World) -> Iterator[str]:
    """One exit record in the last attempt, at most one in each other, one end written down."""
    for run in world.runs():
        attempts = sorted(run.glob("attempt-*"), key=lambda path: int(path.name[8:]))
        if not attempts or not (attempts[-1] / "exit.json").exists():
            yield f"{run.name} has no terminal record"
        for file in run.glob("attempt-*/exit.json"):
            json.loads(file.read_bytes())
        published = json.loads((run / "published.json").read_bytes())
        if published["problems"]:
            yield f"{run.name}: {published['problems']}"
        elif not published["commit"]:
            yield f"{run.name} was published without a commit"


def _points(world: World) -> Iterator[str]:
    connection = sqlite3.connect(world.root / ".exp/exp.db")
    try:
        for run in world.runs():
            yield from _points_of(connection, world, run.name)
    finally:
        connection.close()


def _points_of(connection: sqlite3.Connection, world: World, run: str) -> Iterator[str]:
    """Each acknowledged point once, none that was never tried."""
    have: dict[tuple[str, str], Counter[int]] = {}
    for path, step, count in connection.execute(POINTS, (run, "train/loss")):
        folder, _, name = path.partition("/")
        key = (folder.removeprefix("attempt-"), name.rpartition("-")[2].removesuffix(".jsonl"))
        have.setdefault(key, Counter())[int(step)] += count
    for book in (world.root / "books").glob(f"{run}.*"):
        _, attempt, pid = book.name.split(".")
        lines = book.read_text().splitlines()
        tried = {int(line.split()[1]) for line in lines if line.startswith("try ")}
        known = {int(line.split()[1]) for line in lines if line.startswith("ack ")}
        points = have.pop((attempt, pid), Counter())
        if missing := sorted(known - points.keys()):
            yield f"{run}: acknowledged points are missing: {missing}"
        if doubled := sorted(step for step, count in points.items() if count > 1):
            yield f"{run}: points are doubled: {doubled}"
        if invented := sorted(points.keys() - tried):
            yield f"{run}: points were never logged: {invented}"
    if have:
        yield f"{run}: points of nobody: {sorted(have)}"


def _ticket(world: World, number: int) -> Iterator[str]:
    """Outside our blocks, the two fields and the boxes every byte is the person's."""
    path = world.ticket(number)
    now, first = path.read_bytes(), _first(world, path)
    if _theirs(now) != _theirs(first):
        yield f"{path.name} was changed outside our spans: {now!r}"
    names = Counter(match[1] for match in OURS.finditer(now))
    if now.count(b"exp:begin") != sum(names.values()):
        yield f"{path.name} has broken blocks"
    if doubled := [name for name, count in names.items() if count > 1]:
        yield f"{path.name} holds {doubled} twice"
    for run in world.runs():
        ticket = json.loads((run / "run.json").read_bytes())["ticket"]["id"]
        if ticket == path.stem and f"evidence-{run.name}".encode() not in names:
            yield f"{path.name} has no evidence of {run.name}"


def _verdicts(world: World) -> Iterator[str]:
    """Verdicts of a run that came through are those of an undisturbed one; boxes agree with them.

    What they must be follows from the program alone, not from what was recorded.
    """
    tickets = {r: json.loads((r / "run.json").read_bytes())["ticket"]["id"] for r in world.runs()}
    for run, ticket in tickets.items():
        last = max(run.glob("attempt-*"), key=lambda path: int(path.name[8:]))
        with Reader(world.root / ".exp/exp.db") as reader:
            states = [str(row.verdict.state) for row in reader.verdicts(run.name)]
        expected = [_of_loss(world, ticket), "met", "met", "manual"]
        through = json.loads((last / "exit.json").read_bytes())["code"] == 0
        if through and not (last / "stop.json").exists() and states != expected:
            yield f"{run.name}: verdicts are {states}, undisturbed they are {expected}"
        text = (world.root / "tickets" / f"{ticket}.md").read_text()
        boxes = ["met" if box in "xX" else "" for box in re.findall(r"(?m)^- \[(.)\]", text)]
        if list(tickets.values()).count(ticket) == 1 and boxes != [
            s if s == "met" else "" for s in states
        ]:
            yield f"{run.name}: boxes are {boxes}, verdicts are {states}"


def _of_loss(world: World, ticket: str) -> str:
    """`train/loss < 0.05`: the loss at step N is 1/N."""
    name = f"{world.kinds[int(ticket[2:]) - 1]}{int(ticket[2:])}"
    steps = STEPS.search((world.root / f"experiments/{name}.py").read_text())
    assert steps is not None
    return "met" if 1 / int(steps[1]) < 0.05 else "failed"


def _first(world: World, path: Path) -> bytes:
    first = world.git("rev-list", "--max-parents=0", "HEAD").strip()
    return world.git("show", f"{first}:tickets/{path.name}").encode()


def _theirs(text: bytes) -> bytes:
    """Runs of blank lines around our blocks are ours as well."""
    text = TICKED.sub(b"- [ ]", FIELDS.sub(rb"**\1**: ", OURS.sub(b"", text)))
    return re.sub(rb"\n{2,}", b"\n\n", text).rstrip(b"\n")


def _git(world: World) -> Iterator[str]:
    after = world.git("status", "--porcelain")
    if len(world.runs()) < len(world.kinds):  # `exp report` of a ticket that never ran
        after = after.replace("?? experiments/reports/\n", "")
    if after != world.before:
        yield f"git status was {world.before!r} and is {after!r}"
    for path in (world.root / ".git").rglob("*"):
        if path.name.endswith(".lock") or path.name.startswith("exp-commit"):
            yield f"{path} is left"
    commits = Counter(world.git("log", "--format=%(trailers:key=Run,valueonly)").split())
    if doubled := {run: count for run, count in commits.items() if count > 1}:
        yield f"more than one commit for an end: {doubled}"
    for run in world.runs():
        commit = json.loads((run / "published.json").read_bytes())["commit"]
        if commit and run.name not in world.git("log", "-1", "--format=%B", commit):
            yield f"{run.name} names a commit that is not its own"
    world.git("fsck", "--strict")


def _litter(world: World) -> Iterator[str]:
    """Unfinished files: none beside the person's, none in a run that was launched.

    A second name of a file that is in its place costs nothing.
    """
    launched = set(world.runs())
    for path in world.root.rglob(".*.tmp"):
        ours = path.stat().st_nlink == 1 and launched.intersection(path.parents)
        if ours or ".exp" not in path.parts:
            yield f"{path} is left"


def _rows(world: World) -> Iterator[str]:
    """The index that grew under fire equals the one made of the files in one go."""
    workspace = Workspace(world.root)
    grown = _dump(workspace)
    rebuild_index(workspace)
    rebuilt = _dump(workspace)
    for table in grown:
        if grown[table] != rebuilt[table]:
            odd = set(map(repr, grown[table])) ^ set(map(repr, rebuilt[table]))
            yield f"table {table} differs from a rebuilt one: {sorted(odd)[:6]}"


def _dump(workspace: Workspace) -> dict[str, list[tuple[object, ...]]]:
    with Index(workspace.database) as index:
        rows = index.dump()
    rows.pop("ticket")  # the ticket's files changed after the watcher looked at them last
    return rows
