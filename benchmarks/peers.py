"""`track.log` beside wandb (offline), trackio, tensorboardX and mlflow: 5 scalars a call.

Each library works in a process of its own, in turns with the others: time of each call, processor
time of the process and all its helpers, bytes on the disk; then once more until it is killed with
SIGKILL, and what can be read back of the points whose call had returned. Libraries that are not
installed are left out; the extra `bench` brings them.
"""

import ctypes
import importlib.util
import json
import os
import random
import resource
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CALLS, ROUNDS, KILLS = 2_000, 3, 3
SETTLE = 5.0  # seconds that a library's helpers get to write down what they hold after the kill
VALUES = {f"train/metric_{number}": 1 / (3 + number) for number in range(5)}
Log = Callable[[int], None]
Begin = Callable[[Path], tuple[Log, Callable[[], None]]]


def begin_bare(folder: Path) -> tuple[Log, Callable[[], None]]:
    descriptor = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def log(step: int) -> None:
        record = {"step": step, "time": time.time(), "metrics": VALUES}
        os.write(descriptor, (json.dumps(record, separators=(",", ":")) + "\n").encode())

    return log, lambda: os.close(descriptor)


def begin_ours(folder: Path) -> tuple[Log, Callable[[], None]]:
    os.environ["EXP_WORKSPACE"] = str(folder)
    from orchestrator import track

    run = track.init()
    return lambda step: run.log(VALUES, step=step), run.finish


def begin_wandb(folder: Path) -> tuple[Log, Callable[[], None]]:
    import wandb

    settings = wandb.Settings(silent=True, disable_git=True, console="off")
    run = wandb.init(mode="offline", dir=str(folder), project="bench", settings=settings)
    return lambda step: run.log(VALUES, step=step), run.finish


def begin_trackio(folder: Path) -> tuple[Log, Callable[[], None]]:
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio

    run = trackio.init(project="bench", embed=False)
    return lambda step: run.log(VALUES, step=step), trackio.finish


def begin_tensorboardx(folder: Path) -> tuple[Log, Callable[[], None]]:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(step: int) -> None:
        for name, value in VALUES.items():
            writer.add_scalar(name, value, step)

    return log, writer.close


def begin_mlflow(folder: Path) -> tuple[Log, Callable[[], None]]:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # its newer versions ask for this
    import mlflow

    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    mlflow.start_run()
    return lambda step: mlflow.log_metrics(VALUES, step=step), mlflow.end_run


def steps_of_jsonl(folder: Path) -> set[int]:
    steps = set()
    for file in folder.rglob("*.jsonl"):
        for line in file.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if "metrics" in record and len(record["metrics"]) == len(VALUES):
                steps.add(record["step"])
    return steps


def steps_of_wandb(folder: Path) -> set[int]:
    from wandb.proto import wandb_internal_pb2

    steps = set()
    for file in folder.rglob("*.wandb"):
        for data in records_of_leveldb_log(file.read_bytes(), skip=7):
            record = wandb_internal_pb2.Record.FromString(data)
            if record.WhichOneof("record_type") == "history":
                steps.add(record.history.step.num)
    return steps


def records_of_leveldb_log(data: bytes, *, skip: int) -> Iterator[bytes]:
    """Whole records of the format that wandb's files have, after a file header of `skip` bytes.

    https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    block, head, place, parts = 32_768, 7, skip, []
    while place + head <= len(data):
        if block - place % block < head:
            place += block - place % block
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        body = data[place + head : place + head + length]
        if kind not in {1, 2, 3, 4} or len(body) < length:
            return  # the torn end of a killed file
        parts = [body] if kind in {1, 2} else [*parts, body]
        if kind in {1, 4}:
            yield b"".join(parts)
        place += head + length


def steps_of_trackio(folder: Path) -> set[int]:
    steps = set()
    for file in folder.rglob("*.db"):
        with sqlite3.connect(file) as connection:
            steps |= {row[0] for row in connection.execute("SELECT step FROM metrics")}
    return steps


def steps_of_tensorboardx(folder: Path) -> set[int]:
    from tensorboardX.proto import event_pb2

    seen: dict[int, int] = {}
    for file in folder.rglob("events.out.tfevents.*"):
        data, place = file.read_bytes(), 0
        while place + 12 <= len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            if place + 16 + length > len(data):
                break
            event = event_pb2.Event.FromString(data[place + 12 : place + 12 + length])
            if event.summary.value:
                seen[event.step] = seen.get(event.step, 0) + 1
            place += 16 + length
    return {step for step, count in seen.items() if count == len(VALUES)}


def steps_of_mlflow(folder: Path) -> set[int]:
    seen: dict[int, int] = {}
    for file in folder.rglob("metric_*"):
        for line in file.read_text().splitlines():
            words = line.split()
            if len(words) >= 3:
                seen[int(words[2])] = seen.get(int(words[2]), 0) + 1
    return {step for step, count in seen.items() if count == len(VALUES)}


# name → module that must be there, how to begin, how to read back
PEERS: dict[str, tuple[str, Begin, Callable[[Path], set[int]]]] = {
    "bare json + write": ("json", begin_bare, steps_of_jsonl),
    "exp": ("orchestrator", begin_ours, steps_of_jsonl),
    "trackio": ("trackio", begin_trackio, steps_of_trackio),
    "wandb (offline)": ("wandb", begin_wandb, steps_of_wandb),
    "tensorboardX": ("tensorboardX", begin_tensorboardx, steps_of_tensorboardx),
    "mlflow (files)": ("mlflow", begin_mlflow, steps_of_mlflow),
}


def work(name: str, folder: Path, calls: int) -> None:
    """The measured process: say when each call has returned, and in the end how long each took."""
    log, close = PEERS[name][1](folder)
    log(0)
    said = os.open(folder.with_suffix(".said"), os.O_WRONLY | os.O_CREAT)
    times = []
    for step in range(1, calls + 1):
        begun = time.perf_counter_ns()
        log(step)
        times.append(time.perf_counter_ns() - begun)
        os.pwrite(said, b"%12d" % step, 0)
    close()
    folder.with_suffix(".times").write_text(json.dumps(times))


def start(name: str, folder: Path, calls: int) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    argv = [sys.executable, __file__, "--worker", name, str(folder), str(calls)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    silent = subprocess.DEVNULL
    return subprocess.Popen(
        argv, stdout=silent, stderr=subprocess.PIPE, cwd=folder, env=environment
    )


def reap_orphans() -> None:
    """Wait for helpers that outlived their parent: they are ours, as subreaper."""
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


def measured(name: str, folder: Path) -> dict[str, object]:
    """One undisturbed round."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(name, folder, CALLS)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{name}: {errors.decode(errors='replace').strip()[-500:]}")
    reap_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "times": json.loads(folder.with_suffix(".times").read_text()),
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "bytes": size / (CALLS * len(VALUES)),
    }


def lost(name: str, folder: Path, chance: random.Random) -> tuple[int, int]:
    """Kill it in full swing: calls that had returned, and those of them that are lost."""
    process = start(name, folder, 10_000_000)
    said = folder.with_suffix(".said")
    while not (said.exists() and said.stat().st_size):
        time.sleep(0.01)
    time.sleep(chance.uniform(0.5, 2.0))
    process.send_signal(signal.SIGKILL)
    process.wait()
    acknowledged = int(said.read_text())
    time.sleep(SETTLE)
    found = PEERS[name][2](folder)
    subprocess.run(["pkill", "-9", "-f", str(folder)], check=False)
    reap_orphans()
    return acknowledged, acknowledged - len(found & set(range(1, acknowledged + 1)))


def row(name: str, rounds: list[dict[str, object]], kills: list[tuple[int, int]]) -> str:
    """One line of the table."""
    times = [value / 1e3 for one in rounds for value in one["times"]]
    p99 = statistics.quantiles(times, n=100)[98]
    gone = sum(kill[1] for kill in kills)
    return (
        f"{name:<18} {statistics.median(times):>9.1f} {p99:>9.1f}"
        f" {statistics.median(one['cpu'] for one in rounds):>7.2f}"
        f" {statistics.median(one['bytes'] for one in rounds):>8.0f}"
        f" {gone:>8} of {sum(kill[0] for kill in kills):,}"
    )


def main() -> int:
    """Print the table; 1 if a peer is quicker than we are."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: helpers' time counts too
    there = [name for name, peer in PEERS.items() if importlib.util.find_spec(peer[0])]
    rounds: dict[str, list[dict[str, object]]] = {name: [] for name in there}
    kills: dict[str, list[tuple[int, int]]] = {name: [] for name in there}
    chance = random.Random(0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:
        for turn in range(max(ROUNDS, KILLS)):
            for place, name in enumerate(there):
                if turn < ROUNDS:
                    rounds[name].append(measured(name, Path(base, f"{place}-{turn}")))
                if turn < KILLS:
                    kills[name].append(lost(name, Path(base, f"{place}-{turn}-killed"), chance))
    print(f"{CALLS:,} calls of {len(VALUES)} scalars, {ROUNDS} rounds; killed {KILLS} times")
    print(f"{'':<18} {'median µs':>9} {'p99 µs':>9} {'CPU s':>7} {'B/point':>8} {'calls lost':>11}")
    for name in there:
        print(row(name, rounds[name], kills[name]))
    left_out = [name for name in PEERS if name not in there]
    if left_out:
        print(f"not installed, left out: {', '.join(left_out)}")
    medians = {
        name: statistics.median(t for one in rounds[name] for t in one["times"]) for name in there
    }
    ahead = all(medians["exp"] <= medians[name] for name in there[2:])
    print(f"ahead of every peer: {'yes' if ahead else 'NO'}")
    return int(not ahead)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        sys.exit()
    sys.exit(main())
