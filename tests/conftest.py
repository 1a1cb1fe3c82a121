"""A laboratory: a real workspace in a real repository, driven through the real command."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Several tests run at once: threads that spin for each other on busy cores made
# tests that compute up to ten times as long. Read by torch when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Thousands of processes are started here; each would compile what it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# How long an example takes says how busy the machine is, and nothing of the property.
settings.register_profile("exp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("exp")

EXP = Path(sys.executable).with_name("exp")
FREEZER = Path("/sys/fs/cgroup/freezer")
QUICK = """
from orchestrator import track
run = track.init()
for step in range(1, 11):
    run.log({"train/loss": 1 / step}, step=step)
run.finish()
"""
# Trains until the file `go` appears, so that a test decides when it ends; ten steps at the least.
PATIENT = """
import time
from pathlib import Path
from orchestrator import track
run = track.init()
step = 0
while not run.should_stop() and (step < 10 or not Path("go").exists()):
    step += 1
    run.log({"train/loss": 1 / step}, step=step)
    print("step", step, flush=True)
    time.sleep(0.02)
run.finish()
"""
TICKET = """# {id}: {title}

**Status**: {status}
**Phase**: —
**After**: {after}
**Before**: —
{experiment}
## Context

Words of a person.

## Acceptance Criteria

{criteria}

## Evidence

## Outcome
"""


def wait_for(condition, *, seconds=60.0, what="the condition"):
    """Poll until `condition()` is true; its value is returned."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return value


@dataclass(frozen=True)
class Laboratory:
    """A workspace to do things in as a user would."""

    root: Path

    def exp(self, *words, **options):
        """Run `exp` in the workspace and return the finished process."""
        return subprocess.run(
            [EXP, *words],
            check=False,
            **{"cwd": self.root, "capture_output": True, "text": True, "timeout": 120, **options},
        )

    def popen(self, *words, **options):
        """Start `exp` and do not wait; its output is to be read unless it goes elsewhere."""
        return subprocess.Popen(
            [EXP, *words],
            cwd=self.root,
            text=True,
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
            # A shell that starts the tests in the background has them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
        )

    def git(self, *words):
        """Run git in the workspace; it must succeed."""
        done = subprocess.run(
            ["git", *words], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, path, text):
        """Write a file of the workspace."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def ticket(self, number=1, criteria="- [ ] train/loss < 0.5", experiment="e/a.toml", **more):
        """Write a ticket."""
        line = f"**Experiment**: experiments/{experiment}\n" if experiment else ""
        values = {"status": "READY", "after": "—", "title": "Learn", **more}
        values |= {"id": f"T-{number:04d}", "criteria": criteria, "experiment": line}
        return self.write(f"tickets/T-{number:04d}.md", TICKET.format(**values))

    def experiment(self, program=QUICK, more="", *, path="e/a.toml"):
        """Write a spec and the program it starts."""
        script = f"experiments/{Path(path).with_suffix('.py')}"
        self.write(script, program)
        self.write(f"experiments/{path}", f'[train]\ncommand = ["{{python}}", "{script}"]\n{more}')

    def commit(self, message="work"):
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def run(self, number=1):
        """Folder of a run."""
        return self.root / ".exp" / "runs" / f"R-{number:06d}"

    def json(self, path, number=1):
        """A JSON file of a run folder."""
        return json.loads((self.run(number) / path).read_text())

    def published(self, number=1, **options):
        """Wait until the end of a run is written down, and return published.json."""
        path = self.run(number) / "published.json"
        wait_for(path.exists, what=f"{path}", **options)
        return json.loads(path.read_text())

    def text(self, number=1):
        """A ticket as it stands."""
        return (self.root / f"tickets/T-{number:04d}.md").read_text()

    def processes(self):
        """Ids of processes that belong to this workspace."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal() or int(folder.name) == os.getpid():
                continue
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if os.fsencode(self.root) in words and state != "Z":
                    found.append(int(folder.name))
        return found


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch, tmp_path_factory):
    """Tests do not see the caller's run, workspace, channels, git identity or leases of GPUs."""
    for name in list(os.environ):
        if name.startswith(("EXP_", "GIT_")):
            monkeypatch.delenv(name)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("EXP_LEASES", str(tmp_path_factory.mktemp("leases")))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def lab(tmp_path):
    """An empty workspace in a repository, at a path that is hard to quote."""
    root = tmp_path / 'a lab\'s "work" é'
    root.mkdir()
    laboratory = Laboratory(root)
    laboratory.git("init", "--quiet", "--initial-branch=main")
    laboratory.git("config", "user.name", "Ada")
    laboratory.git("config", "user.email", "ada@example.org")
    (root / "tickets").mkdir()
    yield laboratory
    for pid in laboratory.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def freeze():
    """Make a process unkillable: a frozen one takes SIGKILL only when it thaws."""
    group = FREEZER / f"exp-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("needs the freezer of control groups version 1")

    def put(pid):
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")

    yield put
    (group / "freezer.state").write_text("THAWED")
    while (group / "cgroup.procs").read_text():
        pass
    group.rmdir()
