"""Which channels act, what they say, and what a workspace may not do unasked."""

import importlib.util
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import wait_for
from notify.people import KEEP

from orchestrator.notify import load_settings
from orchestrator.workspace import Workspace

FLOOD = "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\n"
needs_apprise = pytest.mark.skipif(
    importlib.util.find_spec("apprise") is None, reason="the extra `notify` is not installed"
)


def rows(done):
    """What `exp notify test` said, by channel."""
    return {line[:20].strip(): line[21:] for line in done.stdout.splitlines()}


@pytest.fixture
def server():
    """A web server that keeps what is posted to it."""
    posts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if "broken" in self.path else 200)
            self.end_headers()

        def log_message(self, *_words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.posts = posts
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_channel_the_test_says_where_to_write_one(lab, person):
    """Nothing configured: both files are named, and what to write."""
    done = lab.exp("notify", "test")
    assert done.returncode == 3
    assert str(lab.root / "exp.toml") in done.stderr
    assert str(person.home / "config/exp/config.toml") in done.stderr
    assert "[notify]" in done.stderr


def test_every_channel_is_tried_and_each_failure_has_its_reason(lab, person):
    """One works, one fails with its own words, one is not there: said one by one."""
    person.listen()
    broken = person.program("#!/bin/sh\necho no such room >&2\nexit 4\n", "broken")
    lab.write("exp.toml", f'[notify]\ncommand = ["{broken}"]\napprise = ["$NO_SUCH_URL"]\n')
    lab.exp("trust")
    done = lab.exp("notify", "test")
    assert done.returncode == 7
    said = rows(done)
    assert said["own command"] == "sent"
    assert said["workspace command"] == f"not sent: {broken}: exit code 4: no such room"
    assert "NO_SUCH_URL is not set" in said["workspace apprise 1"]
    assert "2 of 3 channels failed" in done.stderr
    (notice,) = person.heard()
    assert set(notice) == {
        *("key", "kind", "level", "workspace", "run", "ticket", "title", "text", "time")
    }
    (person.home / "tell").unlink()
    assert "cannot start" in rows(lab.exp("notify", "test"))["own command"]


def test_a_command_that_takes_too_long_is_killed_with_all_it_started(lab, person):
    """Also what made itself a session of its own and ignores SIGTERM."""
    slow = "#!/bin/sh\n(setsid sh -c 'trap \"\" TERM; sleep 1000; true') &\nsleep 1000\n"
    command = json.dumps([person.program(slow), str(lab.root)])
    person.configure(f"[notify]\ncommand = {command}\n")
    began = time.monotonic()
    done = lab.exp("notify", "test")
    assert "took longer than 10 s and was killed" in rows(done)["own command"]
    assert time.monotonic() - began < 30
    assert lab.processes() == []


def test_a_command_that_floods_its_output_takes_no_memory(lab, person):
    """Its output is kept in memory: beyond a megabyte writing fails, and so does the command."""
    person.configure(f'[notify]\ncommand = ["{person.program(FLOOD)}"]\n')
    said = rows(lab.exp("notify", "test"))["own command"]
    assert said.startswith("not sent")
    assert "exit code 1: xxx" in said


def test_a_workspace_tells_nobody_unasked(lab, person):
    """Its command acts once trusted, and no more once it, or the program it names, has changed."""
    lab.write("tell", KEEP).chmod(0o755)
    lab.write("exp.toml", '[notify]\ncommand = ["./tell"]\n')
    lab.ticket()
    lab.experiment()
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.stderr.count("is not trusted and does not act") == 1
    assert f"exp trust {lab.root}" in done.stderr
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    assert not (lab.root / "heard.jsonl").exists()
    assert "[notify] of exp.toml" in lab.exp("trust").stderr
    assert rows(lab.exp("notify", "test")) == {"workspace command": "sent"}
    # An edited spec ends the trust in commands, but a crash is still told.
    lab.experiment(more="[params]\nlr = 0.1\n")
    assert rows(lab.exp("notify", "test")) == {"workspace command": "sent"}
    lab.write("tell", KEEP + "touch stolen\n")
    done = lab.exp("notify", "test")
    assert done.returncode == 7
    assert "is not trusted" in done.stderr
    assert "nobody would be told" in done.stderr
    assert not (lab.root / "stolen").exists()
    assert len((lab.root / "heard.jsonl").read_text().splitlines()) == 2


def test_a_broken_file_of_one_does_not_silence_the_other(lab, person):
    """A wrong key in exp.toml is named; the person's own channel acts all the same."""
    person.listen()
    lab.write("exp.toml", '[notify]\ncomand = ["x"]\n')
    done = lab.exp("notify", "test")
    assert rows(done) == {"own command": "sent"}
    assert "notify.comand: unknown key" in done.stderr
    lab.write("exp.toml", '[notify]\non = ["crashes"]\n')
    assert "notify.on.0 = 'crashes'" in lab.exp("notify", "test").stderr


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("ntfy://ntfy.sh/my-topic", False),
        ("json://localhost:8080/hook", False),
        ("$NTFY_URL", False),
        ("mailto://ada:secret@example.org", True),
        ("tgram://123456789:AAbbCCddEEffGGhh/12315", True),
        ("slack://T1JJ3T3L2A/A1BRTD4JD5/TIiajkdnlazkcOXrIdevi7FQ/general", True),
        ("json://host/x?token=abc", True),
    ],
)
def test_a_credential_in_a_file_is_warned_of(lab, person, url, warned):
    """A URL with a password or a token belongs into a variable; it is not repeated."""
    person.configure(f'[notify]\napprise = ["{url}"]\n')
    problems = load_settings(Workspace(lab.root)).problems
    assert len(problems) == warned
    assert all("holds a credential in plain text" in problem for problem in problems)
    assert url not in "".join(problems)


def test_a_start_warns_of_a_credential_in_a_file(lab, person):
    """Where runs are started somebody reads it."""
    person.configure('[notify]\napprise = ["json://ada:secret@localhost/"]\non = []\n')
    lab.ticket()
    lab.experiment()
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0
    assert "holds a credential in plain text" in done.stderr


def test_apprise_that_is_not_there_says_what_to_install(lab, person, monkeypatch, tmp_path):
    """The extra is named."""
    if importlib.util.find_spec("apprise") is not None:
        (tmp_path / "apprise.py").write_text("raise ImportError")
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    person.configure('[notify]\napprise = ["json://localhost"]\n')
    said = rows(lab.exp("notify", "test"))["own apprise 1"]
    assert "pip install 'exp-tickets[notify]'" in said


@needs_apprise
def test_apprise_sends_to_a_real_server(lab, person, server, monkeypatch):
    """The URL comes from a variable and is never told; a server's refusal is."""
    port = server.server_port
    monkeypatch.setenv("GOOD_URL", f"json://127.0.0.1:{port}/a-secret-path")
    monkeypatch.setenv("BAD_URL", f"json://127.0.0.1:{port}/broken-secret-path")
    person.configure('[notify]\napprise = ["$GOOD_URL", "$BAD_URL", "nonsense"]\n')
    done = lab.exp("notify", "test")
    said = rows(done)
    assert said["own apprise 1"] == "sent"
    assert said["own apprise 2"].startswith("not sent: apprise: ")
    assert said["own apprise 3"].endswith("nonsense is no URL that apprise knows")
    assert "secret-path" not in done.stdout + done.stderr
    assert server.posts[0]["title"].startswith("exp can reach you from ")


@needs_apprise
def test_a_crash_reaches_a_real_server(lab, person, server, monkeypatch):
    """From the training's end to a web hook, through the watcher."""
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{server.server_port}/")
    person.configure('[notify]\napprise = ["$HOOK"]\n')
    lab.ticket()
    lab.experiment("raise ValueError('bad shape')")
    lab.exp("ticket", "start", "1")
    wait_for(lambda: server.posts, what="the post")
    assert "ValueError: bad shape at a.py:<module>, in train" in server.posts[0]["title"]
    assert server.posts[0]["type"] == "failure"


def test_a_desktop_is_told_where_there_is_one(lab, person, monkeypatch):
    """notify-send with a session: title and escaped text as arguments, nothing of it markup."""
    person.program('#!/bin/sh\nprintf "%s\\n" "$@" >> "$(dirname "$0")/shown"\n', "notify-send")
    monkeypatch.setenv("PATH", str(person.home), prepend=os.pathsep)
    assert lab.exp("notify", "test").returncode == 3
    monkeypatch.setenv("DISPLAY", ":0")
    assert rows(lab.exp("notify", "test")) == {"desktop": "sent"}
    assert "exp can reach you from" in (person.home / "shown").read_text()
    person.configure("[notify]\ndesktop = false\n")
    assert lab.exp("notify", "test").returncode == 3
    monkeypatch.delenv("DISPLAY")
    person.configure("[notify]\ndesktop = true\n")
    assert "no notify-send on PATH, or no session" in lab.exp("notify", "test").stderr
