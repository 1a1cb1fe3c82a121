"""One round of chaos: a seeded plan of commands and kills, played, settled, and looked at."""

import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from chaos.invariants import violations
from chaos.world import World, build, clear, processes, strike, wake

ROLES = ("command", "watcher", "shim", "training")
# What a strike waits for: a file of these that appears or changes, so that short moments are hit.
SIGNS = (
    ".exp/runs/R-000001",
    ".exp/runs/R-000001/run.json",
    ".exp/runs/R-000001/attempt-1/proc.json",
    ".exp/runs/R-000001/attempt-1/exit.json",
    ".exp/runs/R-000001/published.json",
    ".exp/watcher.lock",
    ".exp/exp.db",
    ".git/index.lock",
    ".git/COMMIT_EDITMSG",
    ".git/refs/heads/main",
    ".exp/runs/R-000001/ticked.json",
    "tickets/T-0001.md",
    "experiments/reports",
)
LONGEST = 6.0  # seconds after which a sign is not waited for any longer
SETTLED = 150.0  # seconds in which everything must have come to rest


@dataclass(frozen=True)
class Strike:
    """Signals to some roles in this order, `delay` seconds after a sign (or after the start)."""

    sign: str | None
    delay: float
    roles: tuple[str, ...]
    number: int
    pause: float


@dataclass(frozen=True)
class Plan:
    """What happens in a round, and when (seconds from its begin)."""

    commands: tuple[tuple[float, tuple[str, ...]], ...]
    strikes: tuple[Strike, ...]
    settle_by: str


def plan_of(rng: random.Random, tickets: int) -> Plan:
    """Draw a plan: everything random comes from `rng`."""
    commands = []
    for number in range(1, tickets + 1):
        start = ("ticket", "start", str(number), *(["--follow"] if rng.random() < 0.4 else []))
        commands += [(rng.uniform(0, 1.0), start)] * rng.choice([1, 1, 2])
    others = (("status",), ("run", "stop", "1"), ("report", "T-0001"), ("run", "stop", "--all"))
    commands += [(rng.uniform(1, 4), rng.choice(others)) for _ in range(rng.choice([0, 1, 2]))]
    strikes = tuple(_draw_strike(rng) for _ in range(rng.randint(1, 5)))
    return Plan(
        commands=tuple(sorted(commands)),
        strikes=strikes,
        settle_by=rng.choice(["status", "watch"]),
    )


def _draw_strike(rng: random.Random) -> Strike:
    roles = rng.sample(ROLES, rng.choice([1, 1, 1, 2, 2, 4]))
    stops = rng.random() < 0.15
    sign = rng.choice(SIGNS) if rng.random() < 0.7 else None
    return Strike(
        sign=sign,
        delay=rng.choice([0.0, rng.uniform(0, 0.03), rng.uniform(0, 0.3)])
        if sign
        else rng.uniform(0.2, 4.5),
        roles=tuple(roles),
        number=signal.SIGSTOP if stops else signal.SIGKILL,
        pause=rng.uniform(0.1, 1.5),
    )


def play_round(seed: int, folder: Path) -> list[str]:
    """Play the round of this seed in a new folder; returns what was wrong."""
    rng = random.Random(seed)
    world = build(folder / f"round {seed}", rng)
    plan = plan_of(rng, len(world.kinds))
    world.note(f"seed {seed}, kinds {world.kinds}, settled by {plan.settle_by}")
    try:
        _play(world, plan)
        wrong = _settle(world, plan.settle_by) or violations(world)
    except Exception:  # noqa: BLE001 - one more thing that is wrong with this seed
        wrong = [traceback.format_exc()]
    finally:
        clear(world)
    if not wrong:
        return []
    (world.root / "history.txt").write_text("\n".join(world.history) + "\n")
    return [f"seed {seed}: {text}" for text in wrong] + world.history


def _play(world: World, plan: Plan) -> None:
    threads = [
        threading.Thread(target=_carry_out, args=(world, one, _mark(world, one.sign)))
        for one in plan.strikes
    ]
    for thread in threads:
        thread.start()
    for at, words in plan.commands:
        time.sleep(max(0.0, world.began + at - time.monotonic()))
        world.exp(*words)
    for thread in threads:
        thread.join()
    wake(world)


def _mark(world: World, sign: str | None) -> int | None:
    """When a file was changed last; another value is the sign."""
    try:
        return None if sign is None else (world.root / sign).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _carry_out(world: World, one: Strike, before: int | None) -> None:
    deadline = time.monotonic() + LONGEST
    while one.sign and _mark(world, one.sign) == before and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(one.delay)
    for role in one.roles:
        strike(world, role, one.number)
    if one.number == signal.SIGSTOP:
        time.sleep(one.pause)
        for role in one.roles:
            strike(world, role, signal.SIGCONT)


def _settle(world: World, by: str) -> list[str]:
    """Let the tool bring everything to its end; says what did not come."""
    deadline = time.monotonic() + SETTLED
    for process in world.commands:
        try:
            process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return [f"a command hangs: {process.args}"]
    world.note("settle")
    argv = {"status": ("status",), "watch": None}[by]
    while time.monotonic() < deadline:
        if argv:
            world.exp(*argv).wait()
        else:
            words = [sys.executable, "-m", "orchestrator.watch", str(world.root)]
            subprocess.run(words, cwd="/", stdin=subprocess.DEVNULL, check=True)
        pause = time.monotonic() + 5.0
        while processes(world.root) and time.monotonic() < pause:
            time.sleep(0.1)
        if not processes(world.root) and all((r / "published.json").exists() for r in world.runs()):
            return []
    open_runs = [r.name for r in world.runs() if not (r / "published.json").exists()]
    return [f"not settled: runs {open_runs}, processes {processes(world.root)}"]
