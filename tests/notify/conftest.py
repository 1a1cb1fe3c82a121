"""A person with a channel of their own: a program that keeps what it was given."""

import pytest
from notify.people import Person


@pytest.fixture
def person(tmp_path, monkeypatch):
    """A person whose configuration and trust are the test's own."""
    home = tmp_path / "home of a person"
    home.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    return Person(home)
