"""What is remembered of folders never hides what lies in them."""

import os
import resource
import time

import pytest

from orchestrator.errors import EnvironmentFailure
from orchestrator.listing import NOTHING, Listings


def age(folder):
    """Make a folder one that has not changed for a while."""
    past = time.time_ns() - 3_600_000_000_000
    os.utime(folder, ns=(past, past))
    return past


def test_a_folder_whose_time_is_set_back_is_read_again(tmp_path):
    """rsync gives a folder the time of its original after it has put files into it."""
    past = age(tmp_path)
    listings = Listings()
    assert listings.list(str(tmp_path)).names == ()
    time.sleep(2.1)  # a folder that changed a moment ago is listed again anyway
    settled = listings.list(str(tmp_path))
    assert listings.list(str(tmp_path)) is settled
    (tmp_path / "exit.json").write_text("{}")
    os.utime(tmp_path, ns=(past, past))
    assert listings.list(str(tmp_path)).names == ("exit.json",)


@pytest.fixture
def no_descriptors():
    """A process that cannot open anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Limit:
        def __enter__(self):
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))

        def __exit__(self, *_exception):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return Limit()


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    shelf, index, make, no_descriptors
):
    """Nothing is forgotten of a run whose folders cannot be read for a moment."""
    shelf.log(make.point(1, a=0.5))
    index.ingest(shelf.run())
    before = index.dump()
    shelf.log(make.point(2, a=0.25))
    (shelf.run().attempt(1).path / "exit.json").write_text("{}")
    with no_descriptors, pytest.raises(EnvironmentFailure, match="cannot"):
        index.ingest(shelf.run())
    assert index.dump() == before
    assert index.ingest(shelf.run()).points == 1
    assert Listings().list(str(shelf.root / "nowhere")) is NOTHING
