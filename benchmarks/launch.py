"""From `exp ticket start` to the first line of the training program, beside the bare program."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS, BUDGET = 9, 1.0  # seconds over the script's own start
EXP = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
PROGRAM = """import sys, time
with open(sys.argv[1], "x") as file:
    file.write(repr(time.time()))
"""
TICKET = """# T-{0:04d}: One of many

**Status**: READY
**Phase**: —
**Experiment**: experiments/a{0}.toml

## Acceptance Criteria

- [ ] Training completes without error
"""


def first_line(argv: list[str], root: Path, said: Path) -> float:
    """Seconds from the start of a command to the first line of the program behind it."""
    begun = time.time()
    subprocess.run(argv, cwd=root, check=True, capture_output=True)
    while not (said.exists() and said.stat().st_size):
        time.sleep(0.005)
    return float(said.read_text()) - begun


def main() -> int:
    """Print the medians; 1 if the budget is missed."""
    bare, ours = [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        (root / "tickets").mkdir()
        (root / "experiments").mkdir()
        (root / "experiments/a.py").write_text(PROGRAM)
        for number in range(1, ROUNDS + 1):
            said = root / f"said-{number}"
            words = f'["{{python}}", "experiments/a.py", "{said}"]'
            (root / f"experiments/a{number}.toml").write_text(f"[train]\ncommand = {words}\n")
            (root / f"tickets/T-{number:04d}.md").write_text(TICKET.format(number))
            other = root / f"bare-{number}"
            bare.append(first_line([sys.executable, "experiments/a.py", str(other)], root, other))
            ours.append(first_line([*EXP, "ticket", "start", str(number)], root, said))
        subprocess.run([*EXP, "watch"], cwd=root, check=False, capture_output=True)
    over = statistics.median(ours) - statistics.median(bare)
    print(f"python program.py → its first line      {statistics.median(bare):.3f} s")
    print(f"exp ticket start → its first line       {statistics.median(ours):.3f} s")
    print(f"over the program's own start            {over:.3f} s   budget {BUDGET:.0f} s")
    return int(over > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
