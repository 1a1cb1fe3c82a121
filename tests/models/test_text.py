"""Vocabularies: any text comes back, the same documents give the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from models.text import BYTES, END, BpeVocabulary, decode, identity, token_bytes

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [f"the cat {k % 7} sat on the mat, naïve <end of document>\n\n" for k in range(40)]
VOCABULARIES = {size: BpeVocabulary.train(DOCUMENTS, size) for size in (BYTES, 290)}
SIZES = pytest.mark.parametrize("size", [BYTES, 290])


@SIZES
@settings(max_examples=50)
@given(texts=st.lists(st.text(), max_size=4))
def test_any_text_comes_back(size, texts):
    """Ids spell the text they were made from, and none of them is the end of a document."""
    vocabulary = VOCABULARIES[size]
    encoded = vocabulary.encode(texts)
    assert [decode(vocabulary, ids) for ids in encoded] == texts
    assert all(END not in ids for ids in encoded)


@SIZES
@pytest.mark.parametrize("text", ["<end of document>", "Ġ<end>\x00\u2028\r\n  ", "�", "é" * 3])
def test_text_that_looks_special_comes_back(size, text):
    """The name of the end, and characters that stand for others inside tokens, are text."""
    vocabulary = VOCABULARIES[size]
    (ids,) = vocabulary.encode([text * 2])
    assert decode(vocabulary, ids) == text * 2
    assert END not in ids


def test_bytes_are_one_token_each():
    """Without merges a text has as many ids as bytes, all below 257."""
    vocabulary = VOCABULARIES[BYTES]
    (ids,) = vocabulary.encode(["naïve cat"])
    assert len(ids) == 10
    assert len(vocabulary.texts) == BYTES
    assert sorted(vocabulary.texts) == [b"", *(bytes([byte]) for byte in range(256))]


def test_merges_shorten_what_they_were_learned_from():
    """A larger vocabulary has whole words of its documents as tokens."""
    shorter, longer = (VOCABULARIES[size].encode(DOCUMENTS[:1])[0] for size in (290, BYTES))
    assert len(shorter) < len(longer) / 2
    assert b" the" in VOCABULARIES[290].texts
    assert len(VOCABULARIES[290].texts) == 290


def test_no_two_ids_mean_the_same():
    """Ids and their bytes are one to one, so equal bytes are equal ids."""
    texts = VOCABULARIES[290].texts
    assert len(set(texts)) == len(texts)
    assert texts[END] == b""


def test_a_small_corpus_makes_a_small_vocabulary():
    """There are no more merges than pairs that occur twice."""
    assert BpeVocabulary.train(["aaaa", "b"], 1000).texts[BYTES:] == (b"aa",)


def test_the_same_documents_give_the_same_bytes():
    """Another process, with other hashes and any number of threads, makes the same JSON."""
    code = (
        "import json, sys; from models.text import BpeVocabulary\n"
        "print(BpeVocabulary.train(json.loads(sys.stdin.read()), 290).to_json(), end='')"
    )
    for threads in ("1", "2"):
        made = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(DOCUMENTS),
            env={"PYTHONPATH": str(ROOT), "RAYON_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        assert made.stdout == VOCABULARIES[290].to_json()


def test_a_saved_vocabulary_comes_back():
    """What is read has the same identity, encodes alike and writes the same JSON."""
    made = VOCABULARIES[290]
    read = BpeVocabulary.from_json(made.to_json())
    assert identity(read) == identity(made)
    assert read.encode(DOCUMENTS)[0].tolist() == made.encode(DOCUMENTS)[0].tolist()
    assert read.texts == made.texts
    assert read.to_json() == made.to_json()


def test_the_library_reads_the_same_ids():
    """A saved vocabulary needs none of our code: `tokenizers` gives its texts the same ids."""
    theirs = Tokenizer.from_str(VOCABULARIES[290].to_json())
    (ours,) = VOCABULARIES[290].encode(DOCUMENTS[:1])
    assert theirs.encode(DOCUMENTS[0]).ids == ours.tolist()


def test_an_identity_tells_what_ids_mean():
    """Another size or other documents give another identity; training again gives the same."""
    other = BpeVocabulary.train([text.upper() for text in DOCUMENTS], 290)
    again = BpeVocabulary.train(list(DOCUMENTS), 290)
    found = [identity(v) for v in (*VOCABULARIES.values(), other)]
    assert len(set(found)) == 3
    assert identity(again) == identity(VOCABULARIES[290])


def test_an_identity_tells_where_a_token_ends():
    """The same bytes cut at another place are another vocabulary."""

    class Cut:
        end = 0

        def __init__(self, *texts):
            self.texts = texts

    assert identity(Cut(b"", b"ab", b"c")) != identity(Cut(b"", b"a", b"bc"))


def test_every_byte_can_be_written():
    """The library's alphabet is read as 256 different bytes, a space among them as it writes it."""
    alphabet = ByteLevel.alphabet()
    assert {token_bytes(character) for character in alphabet} == {bytes([b]) for b in range(256)}
    pieces = ByteLevel(add_prefix_space=False).pre_tokenize_str(" é\x00")
    assert b"".join(token_bytes(piece) for piece, _ in pieces) == b" \xc3\xa9\x00"


def test_a_vocabulary_that_cannot_hold_all_bytes_is_refused():
    """Some text would have no ids."""
    with pytest.raises(ValueError, match="a vocabulary of 256: at least 257"):
        BpeVocabulary.train(DOCUMENTS, 256)


@pytest.mark.parametrize("text", ["", '{"version": "1.0"}', "half of {"])
def test_what_is_no_vocabulary_is_refused(text):
    """It says what to do."""
    with pytest.raises(ValueError, match=r"no vocabulary can be read.*train it anew"):
        BpeVocabulary.from_json(text)


def test_a_vocabulary_of_others_is_refused():
    """One of the library whose first id is not the end of a document is not ours."""
    found = json.loads(VOCABULARIES[BYTES].to_json())
    ids = found["model"]["vocab"]
    ids["<end of document>"], ids["!"] = ids["!"], 0
    with pytest.raises(ValueError, match="id 0 is not the end of a document"):
        BpeVocabulary.from_json(json.dumps(found))
