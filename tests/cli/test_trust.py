"""Commands in tickets run only where a person said so, and only as they stood then."""

import json
import os

import pytest
from conftest import PATIENT, wait_for

PASSES = '- [ ] Tests <!-- exp: command "true" passes -->'
PRINTS = '- [ ] Says so <!-- exp: command "echo \'a  b; $HOME\'" prints "a  b; $HOME" -->'


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """A state folder of the test's own: nobody's real list of trust is touched."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def started(lab, criteria):
    lab.ticket(criteria=criteria)
    lab.experiment()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    wait_for(lambda: not lab.processes(), what="the watcher to leave")


def check(lab, *words):
    return lab.exp("ticket", "check", "1", *words)


def listed(lab):
    return [row["state"] for row in json.loads(lab.exp("trust", "--list", "--json").stdout)]


def test_nothing_runs_in_a_workspace_that_is_not_trusted(lab):
    """Without trust the command is refused with the next one, and leaves no trace."""
    started(lab, f'{PASSES}\n- [ ] x <!-- exp: command "touch ran" passes -->')
    done = check(lab, "--run-commands")
    assert done.returncode == 5
    assert "is not trusted" in done.stderr
    assert "exp trust" in done.stderr
    assert not (lab.root / "ran").exists()
    assert check(lab).returncode == 9


def test_commands_of_a_trusted_workspace_are_run_and_recorded(lab):
    """Exit code and output become evidence that a rebuild of the index sees again; no shell."""
    started(lab, f"{PASSES}\n{PRINTS}")
    assert lab.exp("trust").returncode == 0
    assert listed(lab) == ["trusted"]
    done = check(lab, "--run-commands")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "true: exit code 0" in done.stderr
    events = [
        json.loads(line)
        for path in (lab.run() / "attempt-1").glob("events-*.jsonl")
        for line in path.read_text().splitlines()
        if '"event": "command"' in line
    ]
    assert {e["data"]["command"]: e["data"]["output"] for e in events} == {
        "true": "",
        "echo 'a  b; $HOME'": "a  b; $HOME\n",
    }
    assert check(lab).returncode == 0
    assert lab.exp("db", "rebuild").returncode == 0
    assert check(lab).returncode == 0


@pytest.mark.parametrize(
    ("command", "code"),
    [("false", 1), ("no-such-program-here", 127), ("'unclosed", 127), ("sh -c 'kill -9 $$'", 137)],
)
def test_a_command_that_fails_is_a_failed_criterion(lab, command, code):
    """Whatever goes wrong is an exit code, never a crash of the check."""
    started(lab, f'- [ ] x <!-- exp: command "{command}" passes -->')
    lab.exp("trust")
    done = check(lab, "--run-commands")
    assert done.returncode == 1, done.stdout
    assert f"exit code {code}" in done.stderr
    assert "Traceback" not in done.stderr


def test_long_output_is_cut_to_its_end(lab):
    """The last 2,000 characters are kept."""
    program = "import sys; sys.stdout.write('x' * 5_000_000 + 'the end')"
    lab.write("loud.py", program)
    started(lab, '- [ ] x <!-- exp: command "python3 loud.py" prints "the end" -->')
    lab.exp("trust")
    assert check(lab, "--run-commands").returncode == 0
    files = list((lab.run() / "attempt-1").glob("events-*-0-*.jsonl"))
    lines = [line for path in files for line in path.read_text().splitlines() if "loud" in line]
    assert len(json.loads(lines[0])["data"]["output"]) == 2000


@pytest.mark.parametrize("change", ["spec", "ticket"])
def test_a_change_of_what_may_run_ends_the_trust(lab, change):
    """An edited spec or command is not what was agreed to; ticks and notes change nothing."""
    started(lab, PASSES)
    lab.exp("trust")
    path = lab.root / "tickets/T-0001.md"
    path.write_text(path.read_text().replace("Tests <!--", "Tests <!--").replace("- [ ]", "- [x]"))
    assert listed(lab) == ["trusted"]
    if change == "spec":
        lab.write("experiments/other.toml", "[train]\ncommand = ['rm']\n")
    else:
        path.write_text(path.read_text().replace('"true"', '"touch ran"'))
    assert listed(lab) == ["changed"]
    done = check(lab, "--run-commands")
    assert done.returncode == 5
    assert "has changed since it was trusted" in done.stderr
    assert not (lab.root / "ran").exists()


def test_a_command_that_the_ticket_no_longer_names_is_not_run(lab):
    """What was trusted is the ticket as it stands, not what an old run was started with."""
    started(lab, '- [ ] x <!-- exp: command "touch ran" passes -->')
    path = lab.root / "tickets/T-0001.md"
    path.write_text(path.read_text().replace("touch ran", "true"))
    lab.exp("trust")
    done = check(lab, "--run-commands")
    assert done.returncode == 9
    assert not (lab.root / "ran").exists()


def test_trust_is_revoked_and_listed(lab, state):
    """--revoke forgets; a workspace that is gone is listed as such, and can be forgotten."""
    lab.ticket()
    lab.exp("trust")
    assert lab.exp("trust", "--list").stdout == f"trusted  {lab.root}\n"
    assert "is trusted no more" in lab.exp("trust", "--revoke").stderr
    assert "was not trusted" in lab.exp("trust", "--revoke").stderr
    assert lab.exp("trust", "--list").stdout == ""
    other = lab.root.parent / "other"
    (other / "tickets").mkdir(parents=True)
    lab.exp("trust", str(other))
    (other / "tickets").rmdir()
    other.rmdir()
    assert listed(lab) == ["gone"]
    assert "is trusted no more" in lab.exp("trust", str(other), "--revoke").stderr
    assert (state / "exp/trust.json").exists()
    assert oct((state / "exp").stat().st_mode)[-3:] == "700"


def test_several_at_once_lose_nothing(lab):
    """Trusting many workspaces at the same time keeps all of them."""
    roots = [lab.root.parent / f"w{n}" for n in range(6)]
    for root in roots:
        (root / "tickets").mkdir(parents=True)
    racers = [lab.popen("trust", str(root)) for root in roots]
    assert [racer.communicate(timeout=60) and racer.returncode for racer in racers] == [0] * 6
    assert listed(lab) == ["trusted"] * 6


def test_a_torn_list_is_named(lab, state):
    """A broken file is an error with its path, and trusts nothing."""
    started(lab, PASSES)
    (state / "exp").mkdir(parents=True)
    (state / "exp/trust.json").write_text('{"workspaces": ')
    done = check(lab, "--run-commands")
    assert done.returncode == 4
    assert str(state / "exp/trust.json") in done.stderr


def test_a_live_run_takes_commands_too(lab):
    """The result is recorded beside the training's own files, and judged at once."""
    lab.ticket(criteria=PASSES)
    lab.experiment(PATIENT)
    lab.exp("ticket", "start", "1")
    lab.exp("trust")
    done = check(lab, "--run-commands")
    assert "met so far" in done.stdout
    assert done.returncode == 0
    lab.write("go", "")
    lab.published()
    assert '- [x] Tests <!-- exp: command "true" passes -->' in lab.text()
    assert os.environ["XDG_STATE_HOME"]
