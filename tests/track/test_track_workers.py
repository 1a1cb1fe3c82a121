"""Processes of one program: every one its own file, and all of them one run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import track


def test_forked_children_write_files_of_their_own(home):
    """After a fork the child's points are in the child's file and the parent's in the parent's."""
    run = track.init()
    run.log({"who": 0})
    child = os.fork()
    if child == 0:
        run.log({"who": 1})
        run.finish()
        os._exit(0)
    os.waitpid(child, 0)
    run.log({"who": 0})
    by_pid = {
        int(file.stem.rpartition("-")[2]): [
            json.loads(line)["metrics"]["who"]
            for line in file.read_text().splitlines()
            if "metrics" in line
        ]
        for file in home.attempt.glob("events-*.jsonl")
    }
    assert by_pid == {os.getpid(): [0, 0], child: [1]}
    assert home.events("finish") == []


def test_data_loader_workers_and_threads_mix_no_lines(home, program):
    """Eight processes with four threads each leave only whole lines, every one of them."""
    process = program(
        "import multiprocessing, threading\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "def work(name):\n"
        "    for step in range(200):\n"
        "        run.log({f'm{name}': step, 'pad': 1 / 3}, step=step)\n"
        "def child(name):\n"
        "    threads = [threading.Thread(target=work, args=(f'{name}_{n}',)) for n in range(4)]\n"
        "    [t.start() for t in threads]\n"
        "    [t.join() for t in threads]\n"
        "fork = multiprocessing.get_context('fork')\n"
        "children = [fork.Process(target=child, args=(n,)) for n in range(8)]\n"
        "[c.start() for c in children]\n"
        "[c.join() for c in children]\n",
        home.variables,
    )
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    seen = {}
    for point in home.points():
        name = next(key for key in point["metrics"] if key != "pad")
        seen.setdefault(name, []).append(point["step"])
    assert len(seen) == 32
    assert all(steps == list(range(200)) for steps in seen.values())


def metrics(workspace: Path) -> dict[str, int]:
    """How often each metric was logged into the only run of a workspace; all lines are whole."""
    (run,) = (workspace / ".exp" / "runs").glob("R-*")
    counts: dict[str, int] = {}
    for file in (run / "attempt-1").glob("events-*.jsonl"):
        for line in file.read_bytes().split(b"\n")[:-1]:
            for name in json.loads(line).get("metrics", {}):
                counts[name] = counts.get(name, 0) + 1
    return counts


LOADER = """
import sys, torch
from torch.utils.data import DataLoader, Dataset
from orchestrator import track

class Numbers(Dataset):
    def __len__(self):
        return 40
    def __getitem__(self, index):
        track.log({"worker": index, "tensor": torch.tensor(float(index))}, step=index)
        return float(index)

if __name__ == "__main__":
    run = track.init(config={"lr": 1})
    loader = DataLoader(Numbers(), batch_size=4, num_workers=2, multiprocessing_context=METHOD)
    for step, batch in enumerate(loader):
        run.log({"main": batch.sum()}, step=step)
    print(run.id)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_a_data_loader_join_the_local_run(tmp_path, program, method):
    """Two workers of any start method write beside the main process; nothing is lost or torn."""
    pytest.importorskip("torch")
    process = program(LOADER.replace("METHOD", repr(method)))
    said, error = process.communicate(timeout=280)
    assert said == "R-000001\n", error
    assert "exp track" not in error
    assert metrics(tmp_path) == {"worker": 40, "tensor": 40, "main": 10}
    assert len(list(tmp_path.rglob("events-*.jsonl"))) == 3
    assert len(list(tmp_path.rglob("exit.json"))) == 1


def test_workers_of_an_older_fork_server_join_the_local_run(tmp_path, program):
    """A fork server that knew nothing of the run still makes workers of its program."""
    process = program(
        "import multiprocessing, time\n"
        "from orchestrator import track\n"
        "def nothing(_): return None\n"
        "def work(n): track.log({'worker': n}, step=n)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('forkserver')\n"
        "    with context.Pool(2) as pool:\n"
        "        pool.map(nothing, range(4))\n"
        "    run = track.init()\n"
        "    run.log({'main': 1})\n"
        "    with context.Pool(2) as pool:\n"
        "        pool.map(work, range(20))\n"
    )
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert metrics(tmp_path) == {"worker": 20, "main": 1}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_pool_write_the_run_of_exp(home, program, method):
    """Under `exp` the workers of a pool write into the run they inherit, one file a process."""
    process = program(
        "import concurrent.futures, multiprocessing\n"
        "from orchestrator import track\n"
        "def work(n): track.log({'worker': n}, step=n)\n"
        "if __name__ == '__main__':\n"
        "    track.init()\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:\n"
        "        list(pool.map(work, range(60)))\n",
        home.variables,
    )
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert sorted(point["step"] for point in home.points()) == list(range(60))


def test_a_program_started_by_a_local_run_joins_it_until_it_is_finished(tmp_path, program):
    """An evaluation script run by the training is part of its run; after finish it is its own."""
    (tmp_path / "evaluate.py").write_text(
        "from orchestrator import track\nprint(track.init(config={'k': 1}).id)\n"
        "track.log({'eval': 1})\n"
    )
    process = program(
        "import os, subprocess, sys\n"
        "from orchestrator import track\n"
        "os.makedirs('elsewhere')\n"
        "def evaluate():\n"
        "    script = os.path.abspath('evaluate.py')\n"
        "    return subprocess.check_output([sys.executable, script], cwd='elsewhere', text=True)\n"
        "run = track.init()\n"
        "print(run.id, evaluate(), end='')\n"
        "run.finish()\n"
        "print('EXP_RUN_DIR' in os.environ, end=' ')\n"
        "os.environ['EXP_WORKSPACE'] = os.getcwd()\n"
        "print(evaluate(), end='')\n"
    )
    said, error = process.communicate(timeout=60)
    assert said.split() == ["R-000001", "R-000001", "False", "R-000002"], error
    first = tmp_path / ".exp" / "runs" / "R-000001" / "attempt-1"
    assert len(list(first.glob("events-*.jsonl"))) == 2
    assert json.loads((first / "proc.json").read_text())["pid"] == process.pid


@pytest.mark.timeout(300)
def test_eight_ranks_of_torchrun_share_one_local_run(tmp_path):
    """Real torchrun: eight processes at once, one run, a file of each rank, all points in it."""
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(
        "from orchestrator import track\n"
        "run = track.init(config={'lr': 1})\n"
        "for step in range(200):\n"
        "    run.log({f'rank_{run.rank}': step}, step=step)\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            *["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "8", "train.py"],
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(track.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert metrics(tmp_path) == {f"rank_{rank}": 200 for rank in range(8)}
    ranks = sorted(int(file.stem.split("-")[-2]) for file in tmp_path.rglob("events-*.jsonl"))
    assert ranks == list(range(8))


def test_forked_ranks_write_files_of_their_rank(home, program):
    """A launcher that forks, as in notebooks, and sets RANK in the child: its rank is its own."""
    process = program(
        "import os\n"
        "from orchestrator import track\n"
        "track.init()\n"
        "for rank in range(3):\n"
        "    if os.fork() == 0:\n"
        "        os.environ.update(RANK=str(rank), WORLD_SIZE='3')\n"
        "        run = track.init()\n"
        "        run.log({'rank': run.rank}, step=rank)\n"
        "        os._exit(0)\n"
        "for _ in range(3): os.wait()\n",
        home.variables,
    )
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    found = {}
    for file in home.attempt.glob("events-*.jsonl"):
        points = [line for line in file.read_text().splitlines() if '"metrics"' in line]
        if points:
            found[int(file.stem.split("-")[-2])] = json.loads(points[0])["step"]
    assert found == {0: 0, 1: 1, 2: 2}


@pytest.mark.timeout(300)
def test_spawned_ranks_are_known_by_their_process_group(tmp_path, program):
    """Without RANK in the environment the rank is what torch.distributed says."""
    pytest.importorskip("torch")
    process = program(
        "import torch.distributed as dist, torch.multiprocessing as mp\n"
        "from orchestrator import track\n"
        "def work(rank):\n"
        "    store = dist.FileStore('store', 2)\n"
        "    dist.init_process_group('gloo', store=store, rank=rank, world_size=2)\n"
        "    run = track.init()\n"
        "    run.log({f'rank_{run.rank}': 1})\n"
        "    dist.barrier()\n"
        "    dist.destroy_process_group()\n"
        "if __name__ == '__main__':\n"
        "    mp.spawn(work, nprocs=2)\n"
    )
    _, error = process.communicate(timeout=280)
    assert process.returncode == 0, error
    assert metrics(tmp_path) == {"rank_0": 1, "rank_1": 1}


def test_a_fork_in_a_thread_while_others_log(home, program):
    """Whatever the other threads hold at that instant, the child logs and ends."""
    process = program(
        "import os, threading\n"
        "from orchestrator import track\n"
        "run = track.init()\n"
        "busy = True\n"
        "def spin(name):\n"
        "    while busy: run.log({name: 1, 'text': 'x'}, step=0)\n"
        "threads = [threading.Thread(target=spin, args=(n,)) for n in 'ab']\n"
        "[t.start() for t in threads]\n"
        "codes = []\n"
        "def forks():\n"
        "    for step in range(50):\n"
        "        child = os.fork()\n"
        "        if child == 0:\n"
        "            track.init().log({'child': step}, step=step)\n"
        "            os._exit(0)\n"
        "        codes.append(os.waitpid(child, 0)[1])\n"
        "forking = threading.Thread(target=forks)\n"
        "forking.start(); forking.join()\n"
        "busy = False\n"
        "assert codes == [0] * 50, codes\n"
        "[t.join() for t in threads]\n",
        home.variables,
    )
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    steps = [point["step"] for point in home.points() if "child" in point["metrics"]]
    assert sorted(steps) == list(range(50))


def test_threads_that_begin_at_once_begin_one_run(tmp_path, program):
    """Eight threads log without init: one local run, one start, every point."""
    process = program(
        "import threading\n"
        "from orchestrator import track\n"
        "gate = threading.Barrier(8)\n"
        "def work(n):\n"
        "    gate.wait()\n"
        "    for step in range(50): track.log({f't{n}': step}, step=step)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "[t.start() for t in threads]\n"
        "[t.join() for t in threads]\n"
    )
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert metrics(tmp_path) == {f"t{n}": 50 for n in range(8)}
    (file,) = tmp_path.rglob("events-*.jsonl")
    assert file.read_text().count('"event":"start"') == 1


@pytest.mark.timeout(300)
def test_workers_of_ranks_from_older_fork_servers_join_the_run(tmp_path, program):
    """Also the workers of a rank above 0, whose run another process made, make no second run."""
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(
        "import multiprocessing\n"
        "from orchestrator import track\n"
        "def nothing(_): return None\n"
        "def work(n): track.log({'worker': n}, step=n)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('forkserver')\n"
        "    with context.Pool(1) as pool: pool.map(nothing, [0])\n"
        "    track.init()\n"
        "    with context.Pool(1) as pool: pool.map(work, range(5))\n"
    )
    torchrun = "-m torch.distributed.run --standalone --nproc-per-node 2 train.py"
    process = program(
        f"import os, sys\nos.execv(sys.executable, [sys.executable, *{torchrun!r}.split()])"
    )
    _, error = process.communicate(timeout=280)
    assert process.returncode == 0, error
    assert metrics(tmp_path) == {"worker": 10}
