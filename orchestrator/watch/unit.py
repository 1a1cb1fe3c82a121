"""A systemd user unit that keeps a watcher at work, for whoever does not want to think of it."""

from orchestrator.watch.daemon import watcher_command
from orchestrator.workspace import Workspace

_UNIT = """\
[Unit]
Description=exp watcher of {name}

[Service]
ExecStart={command}
# It leaves at once while another watcher is at work; this one takes over when that is done.
Restart=always
RestartSec=15
# Runs that the watcher starts outlive it.
KillMode=process

[Install]
WantedBy=default.target
"""


def unit_text(workspace: Workspace) -> str:
    """The unit file for this workspace."""
    words = [*watcher_command(workspace), "--forever"]
    name = " ".join(workspace.root.name.split()).replace("%", "%%")
    return _UNIT.format(name=name, command=" ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    """A word of ExecStart: in double quotes, with what systemd would expand or unescape escaped."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("%", "%%"), ("$", "$$")):
        word = word.replace(plain, escaped)
    return f'"{word}"'
