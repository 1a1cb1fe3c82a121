"""The documents that this project began with, told again: our pages say what they say, and more."""

import os

import pytest
from seeds.checklist import missing
from seeds.stories import STORIES

from orchestrator.actions.rebuild import rebuild_index

NAMES = [story.document for story in STORIES]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Workspace and page of a story; each is told once."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("EXP_", "GIT_"))]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))

        def tell(story):
            if story.document not in made:
                shop = story.shop(tmp_path_factory.mktemp("seed") / 'a lab\'s "work" é')
                made[story.document] = shop, story.render(shop)
            return made[story.document]

        yield tell


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_every_fact_of_the_document_stands_in_our_page(told, story):
    """What has a source is measured; what has none is a person's remark, quoted."""
    _, files = told(story)
    page = next(iter(files.values())).decode()
    assert missing(page, story.facts) == []


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_what_the_document_got_wrong_is_flagged(told, story):
    """A finding or a line of ours says what its writer did not see."""
    _, files = told(story)
    page = next(iter(files.values())).decode()
    assert missing(page, story.flagged) == []


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_pages_of_real_length_stay_small_and_tell_nothing_private(told, story):
    """A page is below 60 KB, a picture below 40; no host, and no folder of this machine."""
    shop, files = told(story)
    for name, content in files.items():
        limit = {"svg": 40_000, "md": 60_000}.get(name.rpartition(".")[2], 400_000)
        assert len(content) < limit, name
        assert b"gpubox" not in content, name
        assert str(shop.root).encode() not in content, name


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_the_same_facts_give_the_same_bytes(told, story):
    """Rendered again, nothing changes."""
    shop, files = told(story)
    assert story.render(shop) == files


def test_a_page_from_a_rebuilt_index_is_the_same(told):
    """What the watcher took in bit by bit and what is read of the files in one go say the same."""
    story = STORIES[-1]
    shop, files = told(story)
    assert rebuild_index(shop.workspace).runs == 2
    assert story.render(shop) == files
