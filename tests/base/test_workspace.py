"""Finding the workspace, and who gets which run folder."""

import subprocess
import sys

import pytest

from orchestrator.errors import EnvironmentFailure, NotFoundError, UsageError
from orchestrator.ids import run_id, run_number, ticket_id, ticket_number
from orchestrator.workspace import Workspace, find_workspace


@pytest.fixture(autouse=True)
def _no_override(monkeypatch):
    monkeypatch.delenv("EXP_WORKSPACE", raising=False)


@pytest.mark.parametrize("marker", ["tickets/", ".exp/", "exp.toml"])
def test_workspace_is_found_from_any_subfolder(tmp_path, marker):
    """Any of the three markers makes a folder the workspace of everything below it."""
    deep = tmp_path / "with space" / "a" / "b"
    deep.mkdir(parents=True)
    place = tmp_path / "with space" / marker
    place.mkdir() if marker.endswith("/") else place.touch()
    assert find_workspace(deep).root == tmp_path / "with space"


def test_the_nearest_workspace_wins(tmp_path):
    """A workspace inside another is its own."""
    inner = tmp_path / "inner"
    (inner / "tickets").mkdir(parents=True)
    (tmp_path / "tickets").mkdir()
    assert find_workspace(inner / "tickets").root == inner


def test_the_environment_names_a_workspace_from_anywhere(tmp_path, monkeypatch):
    """EXP_WORKSPACE wins over the current folder."""
    monkeypatch.setenv("EXP_WORKSPACE", str(tmp_path))
    assert find_workspace().root == tmp_path


def test_a_wrong_override_says_so(tmp_path, monkeypatch):
    """EXP_WORKSPACE that names no folder is an error with the way out."""
    monkeypatch.setenv("EXP_WORKSPACE", str(tmp_path / "gone"))
    with pytest.raises(NotFoundError, match="EXP_WORKSPACE") as caught:
        find_workspace()
    assert caught.value.hint == "unset EXP_WORKSPACE"


def test_no_workspace_names_the_next_command(tmp_path):
    """Outside of any workspace the hint is `exp init`."""
    with pytest.raises(NotFoundError) as caught:
        find_workspace(tmp_path)
    assert caught.value.hint == "exp init"


def test_run_folders_are_given_out_once(tmp_path):
    """Processes that create runs at once get different folders."""
    program = (
        "import sys; from pathlib import Path; from orchestrator.workspace import Workspace\n"
        "for _ in range(20): print(Workspace(Path(sys.argv[1])).create_run().id)"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ids = [line for racer in racers for line in racer.communicate()[0].split()]
    assert len(ids) == len(set(ids)) == 80
    assert [folder.id for folder in Workspace(tmp_path).run_folders()] == sorted(ids)


def test_state_folder_hides_itself_from_git(tmp_path):
    """`.exp/` carries a .gitignore that ignores all of it, itself too."""
    Workspace(tmp_path).prepare_state()
    assert (tmp_path / ".exp" / ".gitignore").read_text() == "*\n"


def test_a_file_in_the_way_is_a_clear_error(tmp_path):
    """A workspace whose `.exp` cannot be made names the path and a way out."""
    (tmp_path / ".exp").write_text("in the way")
    with pytest.raises(EnvironmentFailure, match=r"\.exp") as caught:
        Workspace(tmp_path).create_run()
    assert "EXP_WORKSPACE" in caught.value.hint


def test_ids_are_read_as_people_type_them():
    """Letter and zeros may be left out."""
    assert [ticket_number(text) for text in ("T-0017", "t-17", "17", " T-17 ")] == [17] * 4
    assert [run_number(text) for text in ("R-000042", "r-42", "42")] == [42] * 3
    assert (ticket_id(17), run_id(42)) == ("T-0017", "R-000042")


@pytest.mark.parametrize("text", ["", "T-", "X-17", "../T-0017", "T-0017/..", "17.5", "T-٣"])
def test_what_is_no_id_cannot_name_a_file(text):
    """Anything but digits behind the letter is refused before it becomes a path."""
    with pytest.raises(UsageError):
        ticket_number(text)
