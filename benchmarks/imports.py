"""Start-up times: `orchestrator.track` over bare Python, `exp --help`, `exp status`."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 15


def seconds(argv: list[str], folder: Path) -> float | None:
    """Wall time of one process with its bytecode cached; None if it failed."""
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "PYTHONDONTWRITEBYTECODE": "",
        "EXP_WORKSPACE": str(folder),
    }
    begun = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, env=variables, capture_output=True, check=False)
    spent = time.perf_counter() - begun
    return spent if done.returncode == 0 else None


def medians(commands: dict[str, list[str]], folder: Path) -> dict[str, float | None]:
    """Median in ms of each command, in turns; None where it fails."""
    times: dict[str, list[float | None]] = {name: [] for name in commands}
    for lap in range(ROUNDS + 1):
        for name, argv in commands.items():
            spent = seconds(argv, folder)
            if lap > 0:  # the first lap writes the bytecode
                times[name].append(spent)
    return {name: middle(values) for name, values in times.items()}


def middle(values: list[float | None]) -> float | None:
    """Median in ms, None if one is missing."""
    known = [value for value in values if value is not None]
    return statistics.median(known) * 1e3 if len(known) == len(values) else None


def main() -> int:
    """Print the table; 1 if a budget is missed or a command fails."""
    python = sys.executable
    cli = "from orchestrator.cli import main; import sys; sys.exit(main())"
    commands = {
        "python": [python, "-c", "pass"],
        "track": [python, "-c", "import orchestrator.track"],
        "help": [python, "-c", cli, "--help"],
        "status": [python, "-c", cli, "status", "--json"],
    }
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "tickets").mkdir()
        found = medians(commands, Path(name))
    base = found["python"]
    added = None if base is None or found["track"] is None else found["track"] - base
    rows = [
        ("import orchestrator.track, over bare python", added, 30),
        ("exp --help", found["help"], 150),
        ("exp status, empty workspace", found["status"], 400),
    ]
    print(f"bare python: {base:.0f} ms")
    for title, value, budget in rows:
        shown = "failed" if value is None else f"{value:.0f} ms"
        print(f"{title:<45} {shown:>8}   budget {budget} ms")
    return int(any(value is None or value > budget for _, value, budget in rows))


if __name__ == "__main__":
    sys.exit(main())
