"""[retry] of a spec: what is read, and what is said of a table that would do nothing."""

from typing import get_args

import pytest

from orchestrator.domain.retry import Cause, OutOfMemory, Retriable, Retry
from orchestrator.errors import InvalidFileError
from orchestrator.spec import load_experiment
from orchestrator.workspace import Workspace

TRAIN = '[train]\ncommand = ["true", "{params.batch}"]\n[params]\nbatch = 8\neval_batch = 16\n'


@pytest.fixture
def read(tmp_path):
    """Read a spec that ends with the given text."""

    def read(text):
        (tmp_path / "a.toml").write_text(TRAIN + text)
        return load_experiment(Workspace(tmp_path), "a.toml")

    return read


def test_a_whole_table_is_read(read):
    """Durations are seconds, causes are words, knobs arrive as they were written."""
    retry = read(
        '[retry]\nattempts = 4\nbackoff = "1min"\nmax_backoff = 90\non = ["nccl", "lost"]\n'
        "[retry.oom]\nexpandable_segments = true\nsettings = { eval_batch = 8 }\n"
    ).retry
    oom = OutOfMemory(expandable_segments=True, settings={"eval_batch": 8})
    assert retry == Retry(
        attempts=4, backoff=60.0, max_backoff=90.0, on=(Cause.NCCL, Cause.LOST), oom=oom
    )


def test_without_a_table_there_is_one_attempt(read):
    """Nothing is tried again unless the spec says so."""
    assert read("").retry == Retry()
    assert Retry().attempts == 1


def test_causes_that_can_be_named_are_causes():
    """Every word that `on` takes is one of the causes."""
    assert {Cause(word) for word in get_args(Retriable)} < set(Cause)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backoff = 5", "retry.attempts: missing: nothing would be tried again"),
        ("attempts = 0", "retry.attempts = 0"),
        ("attempts = 2\nbackoff = -1", "retry.backoff = -1: no duration"),
        ('attempts = 2\nbackoff = "soon"', "retry.backoff = 'soon': no duration"),
        ('attempts = 2\non = ["oom"]', "retry.on.0 = 'oom': Input should be 'preempted', 'lost'"),
        ('attempts = 2\non = ["program"]', "retry.on.0 = 'program'"),
        ('attempts = 2\non = "lost"', "retry.on = 'lost': Input should be a list"),
        ("attempts = 2\ntimes = 3", "retry.times: unknown key"),
        ("attempts = 2\n[retry.oom]\nbatch = 3", "retry.oom.batch: unknown key"),
        ("attempts = 2\n[retry.oom.settings]\neval_bach = 3", "no parameter 'eval_bach'"),
        ("attempts = 2\n[retry.oom.settings]\nbatch = 3", "stands in a command"),
    ],
)
def test_a_wrong_table_is_named(read, text, said):
    """Each mistake is answered with file, key and value, and no enum of ours is shown."""
    with pytest.raises(InvalidFileError) as caught:
        read(f"[retry]\n{text}\n")
    assert said in str(caught.value)
    assert str(caught.value).startswith("a.toml: ")
    assert "<Cause" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[budget]\nwall = 0", "budget.wall = 0: it would be used up at once"),
        ("[budget]\nidle = true", "budget.idle = True: no duration"),
        ("[budget]\nidle = inf", "budget.idle = inf: no duration"),
        ("[budget]\ngpu_hours = 0\n[resources]\ngpus = 1", "budget.gpu_hours = 0"),
        ('[resources]\ntime_limit = "0s"', "resources.time_limit = '0s': it would be used up"),
        ("[resources]\ncpus = 0", "resources.cpus = 0: less than 1"),
        ("[resources]\ngpus = -1", "resources.gpus = -1: less than 0"),
        ('[track]\nfiles = ["runs/loss.xyz"]', "track.files = 'runs/loss.xyz': nothing reads"),
        ('[track]\nfiles = ["runs/losses"]', "track.files = 'runs/losses': nothing reads"),
    ],
)
def test_amounts_that_would_surprise_are_refused(read, text, said):
    """A budget of nothing, a limit that is no number, a file that nobody reads: said at once."""
    with pytest.raises(InvalidFileError) as caught:
        read(f"{text}\n")
    assert str(caught.value).startswith(f"a.toml: {said}")
    assert caught.value.hint


@pytest.mark.parametrize("pattern", ["runs/*", "a/metrics.*", "**/events.out.tfevents.1*", "a.CSV"])
def test_patterns_that_may_match_are_taken(read, pattern):
    """A pattern with an open end may match a file that is read."""
    assert read(f'[track]\nfiles = ["{pattern}"]\n').track.files == (pattern,)
