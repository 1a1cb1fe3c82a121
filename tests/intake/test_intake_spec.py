import pytest

from orchestrator.domain.run import Track
from orchestrator.errors import InvalidFileError
from orchestrator.spec import load_experiment
from orchestrator.workspace import Workspace


def loaded(root, track):
    """The [track] section of a spec."""
    spec = root / "a.toml"
    spec.write_text(f'[train]\ncommand = ["true"]\n[track]\n{track}\n')
    return load_experiment(Workspace(root), "a.toml").track


def test_what_is_read_beside_the_sdk_is_declared(tmp_path):
    """Files, patterns and whether the log is read; without the section the log is."""
    text = "files = ['runs/**/*.csv']\npatterns = ['(?P<loss>\\S+)']\nlog = false"
    assert loaded(tmp_path, text) == Track(
        files=("runs/**/*.csv",), patterns=(r"(?P<loss>\S+)",), log=False
    )
    assert loaded(tmp_path, "") == Track()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("files = ['../other/*.csv']", "track.files = '../other/*.csv': leaves the workspace"),
        ("files = ['/data/*.csv']", "leaves the workspace"),
        ("files = ['~/x.csv']", "leaves the workspace"),
        ("files = ['runs/**']", "track.files = 'runs/**': names no file"),
        ("files = ['']", "names no file"),
        ("patterns = ['(loss']", "track.patterns = '(loss': no regular expression"),
        ("patterns = ['step (?P<step>.*)']", "no group names a metric"),
        ("log = 'maybe'", "track.log = 'maybe'"),
        ("logs = true", "track.logs: unknown key"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tmp_path, line, said):
    """An error names file, key and value, and shows how to write it."""
    with pytest.raises(InvalidFileError) as caught:
        loaded(tmp_path, line)
    assert said in str(caught.value)
    assert str(caught.value).startswith("a.toml")
    assert caught.value.hint
