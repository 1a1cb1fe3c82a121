"""`exp run logs`: what the programs printed, for eyes and for pipes."""

import os
import pty
import resource
import subprocess

from conftest import EXP

DRIVES = """
print("\\x1b]0;evil\\x07\\x1b[2Jred \\x9b31m", flush=True)
print("10%\\r20%\\r30%", flush=True)
raise SystemExit("bad \\x1b[2J end")
"""


def test_a_log_cannot_drive_a_terminal(lab):
    """Control characters are shown there, redraws are lines; a pipe gets the text as it is."""
    lab.ticket()
    lab.experiment(DRIVES)
    followed = lab.exp("ticket", "start", "1", "--no-git", "--follow")
    assert not {"\x1b", "\x07", "\x9b"} & set(followed.stdout + followed.stderr)
    leader, follower = pty.openpty()
    subprocess.run([EXP, "run", "logs", "1"], cwd=lab.root, stdout=follower, check=True)
    os.close(follower)
    shown = os.read(leader, 1 << 16).decode()
    os.close(leader)
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert "\\x1b[2Jred" in shown
    assert "10%\r\n20%\r\n30%\r\n" in shown, "the terminal's own returns"
    assert "\x1b[2Jred" in lab.exp("run", "logs", "1").stdout


def test_a_log_larger_than_the_memory_is_printed(lab):
    """It goes through piece by piece: whole, or its end, or as much as is wanted."""
    lab.ticket()
    lab.experiment("print('step 1')")
    lab.exp("ticket", "start", "1", "--no-git", "--follow")
    with (lab.run() / "attempt-1/out.log").open("a") as log:
        for _ in range(300):
            log.write("x" * (1 << 20) + "\n")
        log.write("the end\n")

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, 200 << 20))

    words = [EXP, "run", "logs", "1"]
    with subprocess.Popen(
        words,
        cwd=lab.root,
        stdout=subprocess.PIPE,
        preexec_fn=limit,  # noqa: PLW1509 - no threads
    ) as whole:
        size = sum(len(piece) for piece in iter(lambda: whole.stdout.read(1 << 20), b""))
    assert whole.returncode == 0
    assert size == (lab.run() / "attempt-1/out.log").stat().st_size
    assert lab.exp("run", "logs", "1", "--tail", "1").stdout == "the end\n"
