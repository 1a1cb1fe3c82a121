"""Corpora: split by document, every token predicted once, a loss that cannot be beaten."""

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.corpus import CorpusSettings, _identity, build
from models.grammar import Document, Grammar, Sizes
from models.puzzles import IGNORE
from models.text import BYTES, BpeVocabulary, decode

SMALL = {"documents": 60, "held_out": 0.1, "vocabulary": 400, "context": 16}
LAYOUTS = pytest.mark.parametrize("layout", ["packed", "padded"])


def corpus_of(**changed):
    return build(CorpusSettings(**SMALL | changed))


def documents_of(corpus, blocks):
    """The text of every document, put together from the inputs and labels of the blocks."""
    ids = []
    for row in range(blocks.examples):
        inputs, labels = (t[0].tolist() for t in blocks.read(np.array([row])))
        if not ids or ids[-1] != inputs[0]:
            ids.append(inputs[0])
        ids += [label for label in labels if label != IGNORE]
    text, documents = [], []
    for i in [*ids, corpus.vocabulary.end]:
        if i == corpus.vocabulary.end:
            documents.append(decode(corpus.vocabulary, text))
            text = []
        else:
            text.append(i)
    return [document for document in documents if document]


@LAYOUTS
def test_blocks_hold_the_documents(layout):
    """All documents come out of the blocks again, each in one split only, in their order."""
    corpus = corpus_of(layout=layout)
    grammar = Grammar(Sizes())
    written = [grammar.document(number).text for number in range(60)]
    train, val = (documents_of(corpus, blocks) for blocks in (corpus.train, corpus.val))
    assert (len(train), len(val)) == (54, 6)
    assert sorted(train + val) == sorted(written)
    assert [written.index(text) for text in train] == sorted(written.index(text) for text in train)
    assert [written.index(text) for text in val] != list(range(6))


@LAYOUTS
def test_every_token_is_predicted_once(layout):
    """As many targets as tokens and ends of the documents, no more."""
    corpus = corpus_of(layout=layout)
    texts = documents_of(corpus, corpus.val)
    expected = sum(len(ids) + 1 for ids in corpus.vocabulary.encode(texts))
    _, labels = corpus.val.read(np.arange(corpus.val.examples))
    assert (labels != IGNORE).sum() == corpus.val.targets == expected
    assert corpus.val_bytes == sum(len(text.encode()) + 1 for text in texts)


@LAYOUTS
def test_labels_are_the_next_inputs(layout):
    """Where a label and an input of one place follow, they agree; padding is on the right."""
    inputs, labels = corpus_of(layout=layout).train.read(np.arange(40))
    assert inputs.dtype == labels.dtype == torch.int64
    assert inputs.shape == labels.shape == (40, 16)
    scored = labels != IGNORE
    assert torch.equal(scored, scored.cummin(1).values)
    both = scored[:, 1:]
    assert torch.equal(inputs[:, 1:][both], labels[:, :-1][both])
    if layout == "padded":
        assert not scored.all()


def test_a_padded_document_begins_with_an_end():
    """In a layout of one document a block, no block holds two."""
    corpus = corpus_of(layout="padded", context=400)
    inputs, labels = corpus.train.read(np.arange(corpus.train.examples))
    assert corpus.train.examples == 54
    assert (inputs[:, 0] == corpus.vocabulary.end).all()
    assert ((labels == corpus.vocabulary.end).sum(1) == 1).all()


@settings(max_examples=30)
@given(rows=st.lists(st.integers(0, 100), min_size=1, max_size=8))
def test_rows_are_read_by_number_and_padded_as_little_as_possible(rows):
    """A row is the same whatever is read beside it, but for its padding."""
    blocks = PADDED.train
    inputs, labels = blocks.read(np.array(rows))
    assert inputs.shape[1] == (labels != IGNORE).sum(1).max()
    for at, row in enumerate(rows):
        alone_inputs, alone_labels = blocks.read(np.array([row]))
        length = alone_inputs.shape[1]
        assert torch.equal(inputs[at, :length], alone_inputs[0])
        assert torch.equal(labels[at, :length], alone_labels[0])
        assert (labels[at, length:] == IGNORE).all()


def test_reading_changes_no_block():
    """The arrays of a corpus are the same after rows were read from them."""
    before = PADDED.train.tokens_NL.copy()
    PADDED.train.read(np.array([3, 3, 1]))
    assert np.array_equal(PADDED.train.tokens_NL, before)


def test_the_same_settings_make_the_same_corpus():
    """Blocks and identity are functions of the settings; the seed and the size change both."""
    first, again, other, more = (
        corpus_of(),
        corpus_of(),
        corpus_of(seed=1),
        corpus_of(documents=61),
    )
    assert first.identity == again.identity
    assert np.array_equal(first.train.tokens_NL, again.train.tokens_NL)
    assert first.bound == again.bound
    assert len({c.identity for c in (first, other, more)}) == 3


def test_the_identity_is_that_of_the_text():
    """Vocabulary, context and layout change the blocks and not the identity; the split does."""
    first = corpus_of()
    for changed in ({"vocabulary": BYTES}, {"context": 8}, {"layout": "padded"}):
        assert corpus_of(**changed).identity == first.identity
    assert corpus_of(held_out=0.2).identity != first.identity


def test_the_identity_tells_where_the_split_is():
    """The same documents in the same order, one of them held out or not, are two corpora."""
    first, second, third = (Document(text=text, nats=None) for text in "abc")
    assert _identity([first, second], [third]) != _identity([first], [second, third])


def test_the_seed_chooses_what_is_held_out():
    """Of documents that do not depend on the seed, too."""
    first, other = (corpus_of(source="docs", seed=seed) for seed in (0, 1))
    assert first.val.targets != other.val.targets
    assert first.identity != other.identity


def test_the_vocabulary_is_learned_from_what_is_trained_on():
    """No merge comes from a held-out document."""
    corpus = corpus_of()
    made = BpeVocabulary.train(documents_of(corpus, corpus.train), 400)
    assert corpus.vocabulary.texts == made.texts


def test_a_given_vocabulary_is_used():
    """A student's corpus can be in the vocabulary of its teacher."""
    vocabulary = BpeVocabulary.train(["a b c"], BYTES)
    corpus = build(CorpusSettings(**SMALL), vocabulary=vocabulary)
    assert corpus.vocabulary is vocabulary
    assert corpus.train.tokens_NL.max() < BYTES


@LAYOUTS
@pytest.mark.parametrize("vocabulary", [BYTES, 400])
def test_the_bound_is_the_surprisal_of_the_held_out_documents(layout, vocabulary):
    """In nats of all documents, the same however they are cut into tokens and blocks."""
    corpus = corpus_of(layout=layout, vocabulary=vocabulary)
    grammar, texts = Grammar(Sizes()), documents_of(corpus, corpus.val)
    documents = {d.text: d.nats for d in map(grammar.document, range(60))}
    nats = sum(documents[text] for text in texts)
    assert corpus.bound * corpus.val.targets == pytest.approx(nats)


class Ngram:
    """Witten-Bell: what followed the last n - 1 tokens in training, backed off to fewer."""

    def __init__(self, blocks, vocabulary, order):
        self.vocabulary, self.order = vocabulary, order
        self.seen = defaultdict(Counter)
        for text in rows_of(blocks):
            for at in range(1, len(text)):
                for length in range(min(order, at + 1)):
                    self.seen[tuple(text[at - length : at])][text[at]] += 1

    def probability(self, history, token):
        below = 1 / self.vocabulary
        for length in range(min(self.order, len(history) + 1)):
            followed = self.seen.get(tuple(history[len(history) - length :]))
            if followed is None:
                break
            total, kinds = followed.total(), len(followed)
            below = (followed[token] + kinds * below) / (total + kinds)
        return below

    def loss(self, blocks):
        nats = [
            -math.log(self.probability(text[max(0, at - self.order + 1) : at], text[at]))
            for text in rows_of(blocks)
            for at in range(1, len(text))
        ]
        return sum(nats) / len(nats)


def rows_of(blocks):
    pairs = zip(blocks.tokens_NL.tolist(), blocks.lengths_N.tolist(), strict=True)
    return [row[:length] for row, length in pairs]


def test_no_model_beats_the_bound_unless_it_saw_the_answers():
    """Tables of one to three tokens come closer the more they see, and stay above the bound.

    The same table learned from the held-out text is below it: that is how a leak would show.
    """
    corpus = corpus_of(documents=2000, vocabulary=1024, context=200, layout="padded")
    size = len(corpus.vocabulary.texts)
    losses = [Ngram(corpus.train, size, order).loss(corpus.val) for order in (1, 2, 3)]
    assert losses == sorted(losses, reverse=True)
    assert corpus.bound < losses[-1] < corpus.bound + 1
    assert losses[0] > corpus.bound + 2
    assert Ngram(corpus.val, size, 4).loss(corpus.val) < corpus.bound


def test_the_repositorys_documents_are_text_to_train_on(tmp_path):
    """Files in the named places, by name, whole, with no bound; a change is another identity."""
    root = tmp_path / "a b"
    for name in ("b.md", "a.md", "docs/c.md", "docs/d.txt", "experiments/e/README.md", "x/y.md"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name} — ünïcode\n" * 30, encoding="utf-8")
    sized = CorpusSettings(**SMALL | {"source": "docs", "held_out": 0.25})
    corpus = build(sized, root=root)
    train, val = (documents_of(corpus, blocks) for blocks in (corpus.train, corpus.val))
    expected = ["a.md", "b.md", "docs/c.md", "experiments/e/README.md"]
    assert sorted(text.split()[2] for text in train + val) == expected
    assert len(val) == 1
    assert corpus.bound is None
    assert {text.count("\n") for text in train + val} == {30}
    (root / "a.md").write_text("another")
    assert build(sized, root=root).identity != corpus.identity


def test_this_repository_has_documents():
    """The README of the tool and its documents are found where this checkout has them."""
    root = Path(__file__).resolve().parents[2]
    corpus = build(CorpusSettings(source="docs", context=64))
    texts = documents_of(corpus, corpus.train) + documents_of(corpus, corpus.val)
    for name in ("README.md", "docs/models.md", "experiments/arc/README.md"):
        assert (root / name).read_text(encoding="utf-8") in texts


def test_both_sources_are_held_out_from():
    """A corpus of both has held-out documents of each, and no known bound."""
    corpus = corpus_of(source="both", documents=200)
    titles = [text.split()[0] for text in documents_of(corpus, corpus.val)]
    assert 0 < titles.count("#") < len(titles) == 20 + round(len_of_docs() * 0.1)
    assert corpus.bound is None


def len_of_docs():
    corpus = corpus_of(source="docs")
    return sum(len(documents_of(corpus, blocks)) for blocks in (corpus.train, corpus.val))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": "books"}, "source='books': choose grammar or docs or both"),
        ({"layout": "tight"}, "layout='tight': choose packed or padded"),
        ({"held_out": 0.0}, r"held_out=0\.0: choose a share between 0 and 1"),
        ({"held_out": float("nan")}, "held_out=nan: choose a share"),
        ({"documents": 1}, "documents=1: must be at least 2"),
        ({"context": 0}, "context=0: must be at least 1"),
        ({"documents": 2, "held_out": 0.9}, "2 documents cannot be trained on with 2 held out"),
        ({"vocabulary": 256}, "a vocabulary of 256: at least 257"),
    ],
)
def test_settings_that_make_no_corpus_are_refused(changed, message):
    """The setting is named, with what it can be."""
    with pytest.raises(ValueError, match=message):
        corpus_of(**changed)


def test_a_folder_without_documents_is_refused(tmp_path):
    """It says where it looked, and for what."""
    with pytest.raises(ValueError, match=r"none of \*\.md, docs/\*\.md.* is there"):
        build(CorpusSettings(source="docs"), root=tmp_path)


PADDED = corpus_of(documents=200, layout="padded", context=60)
