"""One run of a story: its attempts, line by line, as shim, program and sampler write them."""

import json
import os
from dataclasses import replace

from orchestrator.codec import encode
from orchestrator.domain.attempt import AttemptRequest, Lease
from orchestrator.domain.hardware import Gpu, GpuReading, HostReading, TreeReading
from orchestrator.domain.run import ExitRecord, Identity, Phase, PhaseExit, StopRequest
from orchestrator.fsio import write_once
from orchestrator.procs import boot_id, pid_namespace, start_ticks
from orchestrator.watch.attempts import reopen, request_attempt
from orchestrator.watch.sampler import Sample
from orchestrator.watch.samples import Recorder


class Trial:
    """A run that was asked for; `begin` to `end` tell its newest attempt."""

    def __init__(self, folder, record):
        self.folder = folder
        self.record = record
        self.gpus = ()
        self._samples = None
        self._sampled = 0

    @property
    def attempt(self):
        """Folder of the newest attempt."""
        return self.folder.attempts()[-1]

    def begin(self, at, *, pid=None, gpus=(), **told):
        """The attempt starts; without `pid` the process of the tests stands for it: it lives."""
        self.gpus = gpus
        leased = tuple(gpu.uuid for gpu in gpus)
        write_once(self.attempt.lease_file, encode(Lease(time=at, gpus=leased or None, cpus=1)))
        alive = pid is None
        self.pid = os.getpid() if alive else pid
        identity = Identity(
            pid=self.pid,
            start_ticks=start_ticks(self.pid) if alive else 1,
            boot_id=boot_id() if alive else "another boot",
            host=self.record.host,
            pid_namespace=pid_namespace() if alive else None,
        )
        write_once(self.attempt.process_file, encode(identity))
        os.utime(self.attempt.process_file, (at, at))
        self.began, self._line = at, []
        self._samples = Recorder(self.attempt, leased or None, ())
        phase = self.record.commands[0].phase
        argv = list(self.record.commands[0].argv)
        self._process(at, phase=phase, state="begin", argv=argv)
        started = {"pid": self.pid, "parent": self.pid, "rank": 0, "world_size": max(1, len(gpus))}
        started |= {"phase": phase, "python": "3.11.9", "argv0": argv[-1], **told}
        self.event(at, "start", started)

    def event(self, at, name, data, step=None):
        """An event of the program."""
        self._write("0", {"event": name, "time": at, "step": step, "data": data})

    def log(self, at, step, **metrics):
        """Points of one step; `train__loss` in a keyword stands for `train/loss`."""
        named = {name.replace("__", "/"): value for name, value in metrics.items()}
        self._write("0", {"step": step, "time": at, "metrics": named})

    def curve(self, first, last, count, **ends):
        """`count` steps between `(time, step)` of both ends; values go from `a` to `b`."""
        for n in range(count):
            share = n / (count - 1)
            step = round(first[1] + share * (last[1] - first[1]))
            values = {name: a + share**0.4 * (b - a) for name, (a, b) in ends.items()}
            self.log(first[0] + share * (last[0] - first[0]), step, **values)

    def phase(self, begin, end, step, *, name="eval", error=None):
        """A phase of the program; an `end` of None is still to come."""
        self.event(begin, "phase", {"phase": name, "state": "begin"}, step)
        if end is not None:
            data = {"phase": name, "state": "end", "seconds": end - begin}
            self.event(end, "phase", data | ({"error": error} if error else {}), step)

    def say(self, *lines):
        """Lines of the log."""
        with self.attempt.log.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def sample(self, at, step, *, cpu=0.2, memory=None, disk=None, tree=None, **gpu):
        """A sample of the machine; `gpu` goes for each GPU of the attempt."""
        gpus = tuple(replace(each, **gpu) for each in self.gpus)
        total = None if memory is None else memory[1]
        free = None if memory is None else memory[1] - memory[0]
        host = HostReading(
            time=at, cpu=cpu, memory_total=total, memory_available=free, disk_free=disk
        )
        trees = TreeReading(processes=4, memory=tree, cpu=1.0) if tree else None
        reading = GpuReading(time=at, gpus=gpus, driver="560.35.03")
        sample = Sample(time=at, gpus=reading, host=host, trees={})
        self._samples.write(sample, trees, step=step)

    def samples(self, first, last, count, *, memory_used, **told):
        """`count` samples between `(time, step)` of both ends; memory is off by a thousandth."""
        for n in range(count):
            share = n / (count - 1)
            at = first[0] + share * (last[0] - first[0])
            step = round(first[1] + share * (last[1] - first[1]))
            used = int(memory_used * (1 - n % 3 / 3000))
            self.sample(at, step, memory_used=used, **told)

    def checkpoint(self, at, step, name, size, **meta):
        """A sealed checkpoint of `size` bytes, none of which takes room."""
        folder = self.folder.checkpoints / f"step_{step}"
        folder.mkdir(parents=True)
        with (folder / name).open("wb") as file:
            file.truncate(size)
        files = [{"path": name, "bytes": size, "sha256": "0" * 64}]
        manifest = {"step": step, "time": at, "attempt": self.attempt.number, "path": name}
        text = json.dumps({**manifest, "files": files, "meta": meta})
        (folder / "manifest.json").write_text(text)
        path = str((folder / name).relative_to(self.folder.path))
        self.event(at, "checkpoint", {"path": path, "bytes": size, "files": 1}, step)

    def end(self, at, *, code=None, signal=None, phase=Phase.TRAIN):
        """The program ends; of both exactly one is told."""
        self._process(at, phase=phase, state="end", code=code, signal=signal)
        how = {"code": code, "signal": signal, "started": self.began, "ended": at}
        record = ExitRecord(**how, recorded_by="shim", phases=(PhaseExit(phase=phase, **how),))
        for file in (*self.attempt.event_files(), *self.attempt.logs()):
            os.utime(file, (at, at))
        write_once(self.attempt.exit_file, encode(record))

    def stop(self, at, why, *, saved=None):
        """A person asks for the end, and the program leaves a second later."""
        request = StopRequest(by="dennis", why=why, time=at, saved=saved)
        write_once(self.attempt.stop_file, encode(request))
        self.end(at + 1, signal=15)

    def again(self, at, why, **settings):
        """`exp run resume` with changed settings."""
        reopen(self.folder)
        asked = AttemptRequest(
            by="dennis", why=why, time=at, commands=self.record.commands, settings=settings
        )
        request_attempt(self.folder, self.record, asked)

    def _process(self, at, **data):
        self._write("shim", {"event": "process", "time": at, "step": None, "data": data})

    def _write(self, who, record):
        name = f"events-{self.record.host}-{who}-{self.pid}.jsonl"
        with (self.attempt.path / name).open("a") as file:
            file.write(json.dumps(record) + "\n")


def gpus(count, name, memory, **more):
    """GPUs of one kind."""
    return tuple(
        Gpu(uuid=f"GPU-{n:04d}", index=n, name=name, memory_total=memory, **more)
        for n in range(count)
    )
