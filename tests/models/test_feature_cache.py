"""The cache of features: extracted once, whole or not sealed, and never of an answer."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import wait_for

from models import feature_cache
from models.arc_pairs import load_examples, permute_answers
from models.features import Rendered

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = load_examples(3)
WIDTH = 16
# Extracts the questions of all examples that fit in 3x3, and tells of every extraction.
PROGRAM = """
import os, sys, time
from models import feature_cache
from models.arc_pairs import load_examples
from models.features import Rendered
class Telling(Rendered):
    def extract(self, question):
        print("extract", flush=True)
        return super().extract(question)
def hang(descriptor):
    if (files := [p for p in os.listdir(os.environ["SEEN"]) if p.endswith(sys.argv[1])]):
        print("hanging", flush=True)
        time.sleep(3600)
    return synced(descriptor)
synced = os.fsync
if sys.argv[1:]:
    os.fsync = hang
print("ready", flush=True)
questions = {e.name: e.question for e in load_examples(3)}
extractor = Telling(side=3, width=16)
print(feature_cache.extract(extractor, questions))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own, in a path with a space."""
    folder = tmp_path / "the cache"
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def extractor():
    return Rendered(side=3, width=WIDTH)


@pytest.fixture
def start(tmp_path):
    """Starts the program; none outlives the test."""
    started = []

    def program(*words, seen="."):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            env=os.environ | {"PYTHONPATH": str(ROOT), "SEEN": str(seen)},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield program
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def questions(examples=EXAMPLES):
    return {e.name: e.question for e in examples}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Made:
    """An extractor that gives what it is told to."""

    name, settings, width, tokens = "made", {}, WIDTH, 4

    def __init__(self, *made):
        self.made, self.asked = list(made), []

    def extract(self, question):
        self.asked.append(question)
        return self.made.pop(0)


def test_features_come_back(extractor):
    """Every row is the extractor's own tensor, in the dtype asked for, mapped from its file."""
    told = []
    folder = feature_cache.extract(
        extractor, questions(), dtype="float32", progress=lambda *n: told.append(n)
    )
    cached = feature_cache.read(folder)
    assert told == [(n, len(EXAMPLES)) for n in range(1, len(EXAMPLES) + 1)]
    assert cached.names == tuple(e.name for e in EXAMPLES)
    assert (cached.width, cached.dtype, cached.extractor) == (WIDTH, torch.float32, "rendered")
    assert cached.settings == extractor.settings
    for example, tensor in zip(EXAMPLES, cached.tensors, strict=True):
        assert torch.equal(tensor, extractor.extract(example.question))
        assert str(folder / f"{example.name}.safetensors") in Path("/proc/self/maps").read_text()


def test_answers_change_no_byte(extractor):
    """With the answers of all examples changed, the cache is the same folder and the same bytes."""
    folder = feature_cache.extract(extractor, questions())
    before = contents(folder)
    for path in folder.iterdir():
        path.unlink()
    others = [replace(e, answer=(e.answer + 1) % 10) for e in permute_answers(EXAMPLES, 0)]
    assert feature_cache.extract(extractor, questions(others)) == folder
    assert contents(folder) == before


def test_the_extractor_is_shown_the_questions_only():
    """What it was asked for is each question once, in order; no answer is in the manifest."""
    odd = [replace(e, answer=np.full((3, 3), 9, np.uint8)) for e in EXAMPLES[:3]]
    odd = [replace(e, question=np.zeros((1, 2), np.uint8)) for e in odd]
    made = Made(*[torch.ones(2, WIDTH)] * 3)
    folder = feature_cache.extract(made, questions(odd))
    assert [q.tobytes() for q in made.asked] == [e.question.tobytes() for e in odd]
    manifest = json.loads((folder / feature_cache.MANIFEST).read_text())
    kept = {"name", "file", "tokens", "sha256", "question"}
    assert all(set(entry) == kept for entry in manifest["examples"])
    assert all(entry["question"] == [[0, 0]] for entry in manifest["examples"])


def test_it_is_extracted_once(extractor):
    """A second request finds the folder; other settings, questions or dtypes are another."""
    folder = feature_cache.extract(extractor, questions())
    never = Made()
    never.name, never.settings, never.tokens = "rendered", extractor.settings, 9
    assert feature_cache.extract(never, questions()) == folder
    others = {
        feature_cache.extract(extractor, questions(EXAMPLES[1:])),
        feature_cache.extract(extractor, questions(), dtype="float16"),
        feature_cache.extract(Rendered(side=3, width=WIDTH, seed=1), questions()),
        feature_cache.extract(Rendered(side=4, width=WIDTH), questions()),
        feature_cache.extract(Rendered(side=3, width=8), questions()),
    }
    assert len(others - {folder}) == 5


def test_a_killed_extraction_is_resumed(cache, start, extractor):
    """kill -9 before the last file is whole: whole ones are kept, and the bytes are the same."""
    undisturbed = feature_cache.extract(extractor, questions())
    wanted = contents(undisturbed)
    undisturbed.rename(cache / "undisturbed")
    torn_name = f".{EXAMPLES[5].name}.safetensors"
    undisturbed.mkdir()
    hanging = start(torn_name, seen=undisturbed)
    said = [hanging.stdout.readline() for _ in range(7)]
    assert said == ["extract\n"] * 6 + ["hanging\n"]
    with pytest.raises(ValueError, match="5 files of features are there, and their extraction"):
        feature_cache.read(undisturbed)
    hanging.kill()
    hanging.wait()
    torn = undisturbed / torn_name
    torn.write_bytes(torn.read_bytes()[:100])
    whole = {p: p.stat().st_ino for p in undisturbed.glob("[!.]*")}
    after = start()
    words = after.communicate()[0].splitlines()
    assert words.count("extract") == len(EXAMPLES) - 5
    assert words[-1] == str(undisturbed)
    assert {p: p.stat().st_ino for p in whole} == whole
    assert contents(undisturbed) == wanted


def test_a_torn_file_is_made_again(extractor):
    """What a power cut tore before the seal is not kept, whole files beside it are."""
    folder = feature_cache.extract(extractor, questions())
    wanted = contents(folder)
    (folder / feature_cache.MANIFEST).unlink()
    torn = folder / f"{EXAMPLES[2].name}.safetensors"
    torn.write_bytes(torn.read_bytes()[:-1])
    again = Made(extractor.extract(EXAMPLES[2].question))
    again.name, again.settings, again.tokens = "rendered", extractor.settings, 9
    assert feature_cache.extract(again, questions()) == folder
    assert contents(folder) == wanted


def test_two_processes_at_once_extract_once(start):
    """The second waits while the first extracts, and makes nothing anew."""
    first = start()
    assert first.stdout.readline() == "extract\n"
    first.send_signal(signal.SIGSTOP)
    second = start()
    wait_for(lambda: blocked(second.pid), what="the second to wait")
    first.send_signal(signal.SIGCONT)
    words = [first.communicate()[0].splitlines(), second.communicate()[0].splitlines()]
    assert words[0] == ["extract"] * (len(EXAMPLES) - 1) + words[1]
    assert len(feature_cache.read(Path(*words[1])).tensors) == len(EXAMPLES)


def test_who_waits_takes_over(start, cache):
    """The first is killed while it extracts; the second goes on after its files."""
    undisturbed = feature_cache.extract(Rendered(side=3, width=WIDTH), questions())
    undisturbed.rename(cache / "elsewhere")
    undisturbed.mkdir()
    first = start(f".{EXAMPLES[3].name}.safetensors", seen=undisturbed)
    assert [first.stdout.readline() for _ in range(5)][-1] == "hanging\n"
    second = start()
    wait_for(lambda: blocked(second.pid), what="the second to wait")
    first.kill()
    words = second.communicate()[0].splitlines()
    assert words.count("extract") == len(EXAMPLES) - 3
    assert contents(undisturbed) == contents(cache / "elsewhere")


def blocked(pid):
    """Whether a process waits for a lock."""
    waiters = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(words[1] == "->" and words[5] == str(pid) for words in waiters)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (torch.ones(2, WIDTH + 1), r"shape \(2, 17\); extractor made says 1 to 4 tokens of 16"),
        (torch.ones(5, WIDTH), r"shape \(5, 16\)"),
        (torch.ones(0, WIDTH), r"shape \(0, 16\)"),
        (torch.ones(1, 2, WIDTH), r"shape \(1, 2, 16\)"),
        (torch.ones(2, WIDTH, dtype=torch.int32), "torch.int32; features are floating-point"),
        (torch.full((2, WIDTH), torch.nan), "32 of 32 numbers are not finite .* 32 of them were"),
        (torch.full((2, WIDTH), 1e5), "32 of 32 numbers are not finite as torch.float16, 0 of"),
    ],
)
def test_features_that_cannot_be_are_not_written(cache, made, said):
    """Another shape or dtype, NaN, or out of range: the example is named and nothing is sealed."""
    name = EXAMPLES[1].name
    with pytest.raises(ValueError, match=f"features of example {name}: .*{said}"):
        feature_cache.extract(
            Made(torch.ones(2, WIDTH), made), questions(EXAMPLES[:2]), dtype="float16"
        )
    (folder,) = (p for p in cache.iterdir() if p.is_dir())
    assert [p.name for p in folder.iterdir()] == [f"{EXAMPLES[0].name}.safetensors"]


@pytest.mark.parametrize(
    ("asked", "options", "said"),
    [
        ({}, {}, "no questions to extract features of"),
        ({"a": EXAMPLES[0].question}, {"dtype": "int8"}, "dtype='int8'; features are stored as"),
        ({"../a": EXAMPLES[0].question}, {}, "example '../a': a name is a file's"),
        ({"a": np.zeros((4, 1), np.uint8)}, {}, "example a: a grid of 4x1 does not fit in 3x3"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(extractor, asked, options, said):
    """An empty split first of all."""
    with pytest.raises(ValueError, match=said):
        feature_cache.extract(extractor, asked, **options)


def test_a_full_disk_is_said_and_then_gone_on_from(extractor, cache):
    """A file that cannot be written leaves the ones before it; with room it goes on from there."""
    program = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
"""
    width = WIDTH
    small, large = torch.ones(1, width), torch.ones(4, width)
    script = f"""{program}
import torch, numpy as np
from models import feature_cache
class Made:
    name, settings, width, tokens = "made", {{}}, {width}, 4
    def extract(self, question):
        return torch.ones(int(question.sum()), {width})
questions = {{"a": np.array([[1]], np.uint8), "b": np.array([[4]], np.uint8)}}
try:
    feature_cache.extract(Made(), questions, dtype="float32")
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written ([Errno 27] File too large); make room, or set EXP_" in done.stdout
    (folder,) = (p for p in cache.iterdir() if p.is_dir())
    assert [p.name for p in folder.iterdir()] == ["a.safetensors"]
    rest = Made(large)
    grids = {"a": np.array([[1]], np.uint8), "b": np.array([[4]], np.uint8)}
    assert feature_cache.extract(rest, grids, dtype="float32") == folder
    assert torch.equal(feature_cache.read(folder).tensors[0], small)
    assert torch.equal(feature_cache.read(folder).tensors[1], large)
