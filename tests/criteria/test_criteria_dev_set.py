"""The score on labelled lines: what must never happen, and how much is read."""

from pathlib import Path

import pytest
from scoring import score

OWN = Path(__file__).with_name("own_lines.jsonl")
DEV = Path(__file__).parents[3] / "shared" / "criteria" / "dev.jsonl"


@pytest.mark.parametrize("path", [OWN, DEV], ids=["own", "dev"])
def test_no_definite_reading_is_wrong(path, capsys):
    """No line labelled manual or ambiguous is definite, no definite reading is wrong."""
    if not path.exists():
        pytest.skip("the labelled lines are not beside this checkout")
    found = score(path)
    with capsys.disabled():
        print(f"\n{path.name}: {found}")
    assert found.guessed == []
    assert found.wrong == []
    assert found.coverage >= 0.85
    assert found.kinds >= 0.85 * found.lines
    assert found.right >= 0.9 * found.given
