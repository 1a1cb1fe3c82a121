"""Reading cached features: what is not as it was sealed is refused, and how batches are made."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models import feature_cache
from models.arc_pairs import load_examples
from models.cache_folder import sha256

EXAMPLES = load_examples(3)[:4]
WIDTH, TOKENS = 3, (2, 5, 1, 5)
FIRST = f"{EXAMPLES[0].name}.safetensors"


class Numbered:
    """Extracts tokens 1, 2, 3 ... of an example's number in the list, as many as TOKENS says."""

    name, settings, width, tokens = "numbered", {"of": "tests"}, WIDTH, 5

    def __init__(self):
        self.done = 0

    def extract(self, question):
        assert question.ndim == 2
        self.done += 1
        count = TOKENS[self.done - 1]
        return torch.arange(1.0, count * WIDTH + 1).reshape(count, WIDTH) * self.done


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(tmp_path / "the cache"))
    return feature_cache.extract(Numbered(), {e.name: e.question for e in EXAMPLES})


def edit(folder, change):
    """Change the manifest as a hand would."""
    path = folder / feature_cache.MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def reseal(folder):
    """Say in the manifest that the first file is as it is."""
    edit(folder, lambda m: m["examples"][0].update(sha256=sha256(folder / FIRST)))


def with_first(folder, change):
    path = folder / FIRST
    save_file({"features": change(load_file(path)["features"]).contiguous()}, path)
    reseal(folder)


def test_a_batch_is_padded_as_little_as_possible(folder):
    """Rows keep their order, zeros follow the last token, and the mask says which are tokens."""
    cached = feature_cache.read(folder)
    features, valid = cached.batch(np.array([2, 0]))
    assert features.shape == (2, 2, WIDTH)
    assert features.dtype == cached.dtype == torch.bfloat16
    assert valid.tolist() == [[True, False], [True, True]]
    assert torch.equal(features[0, :1], cached.tensors[2])
    assert torch.equal(features[1], cached.tensors[0])
    assert not features[~valid].any()


def test_rows_of_one_length_need_no_mask(folder):
    """None says that nothing is padded."""
    features, valid = feature_cache.read(folder).batch(np.array([1, 3]))
    assert features.shape == (2, 5, WIDTH)
    assert valid is None


def test_a_batch_of_no_rows_is_refused(folder):
    """It would have a mean over nothing."""
    with pytest.raises(ValueError, match="a batch of no rows"):
        feature_cache.read(folder).batch(np.array([], np.int64))


def test_rows_are_found_by_name(folder):
    """In the order asked for."""
    cached = feature_cache.read(folder)
    assert cached.rows(EXAMPLES[::-1]).tolist() == [3, 2, 1, 0]
    assert cached.tokens_N.tolist() == list(TOKENS)


def test_features_of_others_are_refused(folder):
    """An example that is not there, and one whose question is another now, are named."""
    cached = feature_cache.read(folder)
    with pytest.raises(ValueError, match="no features of example other_train_0; extract"):
        cached.rows([replace(EXAMPLES[0], task="other", part="train", number=0)])
    changed = replace(EXAMPLES[1], question=(EXAMPLES[1].question + 1) % 10)
    with pytest.raises(ValueError, match=f"{changed.name} are of another question"):
        cached.rows([EXAMPLES[0], changed])


def test_a_changed_batch_changes_no_file(folder):
    """What is read is a private map: writing to a row leaves the file as it was."""
    before = (folder / FIRST).read_bytes()
    feature_cache.read(folder).tensors[0].zero_()
    assert (folder / FIRST).read_bytes() == before
    assert feature_cache.read(folder).tensors[0].any()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: flip(f / FIRST), "changed since it was written"),
        (lambda f: cut(f / FIRST), "missing, cut short or no features"),
        (lambda f: (f / FIRST).unlink(), "missing, cut short or no features"),
        (lambda f: (f / FIRST).write_bytes(b""), "missing, cut short or no features"),
        (lambda f: (f / FIRST).write_text("no features " * 9), "missing, cut short or no features"),
        (lambda f: save_file({"other": torch.ones(2)}, f / FIRST), "cut short or no features"),
        (lambda f: with_first(f, lambda t: t[:, :2]), r"\(2, 2\) .* says \(2, 3\)"),
        (lambda f: with_first(f, lambda t: t[:1]), r"\(1, 3\) .* says \(2, 3\)"),
        (lambda f: with_first(f, torch.Tensor.float), "of torch.float32, .* of torch.bfloat16"),
        (lambda f: with_first(f, lambda t: t * torch.nan), "features that are not finite"),
        (lambda f: (f / "manifest.json").unlink(), "4 files of features are there, and their ex"),
        (lambda f: cut(f / "manifest.json"), "manifest.json: cannot be read"),
        (lambda f: (f / "manifest.json").write_text("[]"), "format None, this code reads 1"),
        (lambda f: edit(f, lambda m: m.update(format=0)), "format 0, this code reads 1; delete"),
        (lambda f: edit(f, lambda m: m.update(dtype="int8")), "dtype 'int8' is none of bfloat16"),
        (lambda f: edit(f, lambda m: m.pop("width")), "width is None"),
        (lambda f: edit(f, lambda m: m.update(examples=[])), "no examples in manifest.json"),
        (lambda f: edit(f, lambda m: m["examples"][2].pop("file")), "example 2 is "),
        (
            lambda f: edit(f, lambda m: m["examples"][0].update(tokens=0)),
            "no tokens, only padding would be left",
        ),
    ],
)
def test_a_folder_that_is_not_as_it_was_sealed_is_refused(folder, damage, said):
    """The message names the file, and says what to do."""
    damage(folder)
    with pytest.raises(ValueError, match=said) as refused:
        feature_cache.read(folder)
    assert str(folder) in str(refused.value)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def test_a_folder_that_is_none_is_refused(tmp_path):
    """Neither an empty path nor a file is a cache."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ValueError, match=r"manifest\.json: missing; 0 files of features"):
            feature_cache.read(path)
