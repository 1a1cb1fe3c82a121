"""`make bench`: every measurement, on the screen and into benchmarks/RESULTS.md.

RESULTS.md keeps one section a measurement, headed by date, machine and versions; a section that a
run of this program wrote is replaced by the next, what stands above the first marker is a person's.
"""

import contextlib
import io
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    criteria,
    distill,
    findings,
    imports,
    launch,
    models,
    peers,
    reporting,
    sage,
    screen,
    store,
    tickets,
    track,
    watcher,
)

RESULTS = Path(__file__).with_name("RESULTS.md")
MARKER = "<!-- below this line: written by `make bench` -->"
PARTS = {
    "track.log against a bare write of the same bytes": track.main,
    "Beside other trackers": peers.main,
    "Start-up": imports.main,
    "Launch": launch.main,
    "Watcher": watcher.main,
    "Tickets": tickets.main,
    "Store": store.main,
    "The live screen": screen.main,
    "Reports": reporting.main,
    "Criteria": criteria.main,
    "Findings": findings.main,
    "Models": models.main,
    "SAGE": sage.main,
    "Distillation": distill.main,
}


def machine() -> str:
    """One line: cores, processor, Python, system, commit."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}, commit {commit or 'unknown'}"
    )


def main() -> int:
    """Run all parts; 1 if a budget was missed."""
    sections, missed = [], False
    for title, part in PARTS.items():
        print(f"\n== {title}", flush=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            missed |= bool(part())
        print(printed.getvalue(), end="", flush=True)
        sections.append(f"### {title}\n\n```\n{printed.getvalue().rstrip()}\n```\n")
    kept = RESULTS.read_text().partition(MARKER)[0] if RESULTS.exists() else "# Measurements\n\n"
    head = f"## {datetime.now(UTC):%Y-%m-%d}, {machine()}\n\n`make bench`, medians.\n"
    RESULTS.write_text("\n".join([f"{kept.rstrip()}\n\n{MARKER}\n", head, *sections]))
    print(f"\nwritten to {RESULTS.name}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
