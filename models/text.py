"""Vocabularies: text as numbers and back, without loss.

Byte-level BPE of the library `tokenizers`: 256 bytes, then merges learned from documents; without
merges it is a vocabulary of bytes. Id 0 is the end of a document. No text can spell it: its name
holds a space, which is written otherwise inside tokens.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

END: Final = 0
BYTES: Final = 257  # the smallest vocabulary: the end of a document, and every byte

_END_NAME = "<end of document>"


class Vocabulary(Protocol):
    """What corpora and distillation need to know of a vocabulary.

    `texts` are the bytes that each id stands for; those of the end of a document are empty, so
    two vocabularies agree about an id exactly if its bytes are equal.
    """

    @property
    def texts(self) -> tuple[bytes, ...]:
        """The bytes of each id."""
        ...

    @property
    def end(self) -> int:
        """The id of the end of a document."""
        ...

    def encode(self, documents: Sequence[str]) -> list[NDArray[np.int32]]:
        """The ids of each document, without an end."""
        ...


def identity(vocabulary: Vocabulary) -> str:
    """A hash of what every id stands for: equal exactly if all ids mean the same text."""
    lengths = np.array([len(text) for text in vocabulary.texts], np.int64)
    return hashlib.sha256(lengths.tobytes() + b"".join(vocabulary.texts)).hexdigest()


def decode(vocabulary: Vocabulary, ids: Iterable[int]) -> str:
    """The text of ids; bytes that are no UTF-8, as where a token cuts a character, show as `�`."""
    return b"".join(vocabulary.texts[i] for i in ids).decode(errors="replace")


class BpeVocabulary:
    """A trained vocabulary; `train` and `from_json` make one."""

    end: Final = END

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def train(cls, documents: Iterable[str], size: int) -> "BpeVocabulary":
        """Learn merges from documents until there are `size` ids, or no pair occurs twice.

        The same documents in the same order give the same vocabulary.

        Raises:
            ValueError: a size that cannot hold all bytes.
        """
        if size < BYTES:
            raise ValueError(f"a vocabulary of {size}: at least {BYTES}, the bytes and an end")
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=[_END_NAME],
            initial_alphabet=sorted(_BYTES_OF),
            show_progress=False,
        )
        tokenizer.train_from_iterator(documents, trainer)
        made = json.loads(tokenizer.to_str())
        made["added_tokens"] = []  # else a document that quotes the name would hold the end
        return cls(Tokenizer.from_str(json.dumps(made)))

    @classmethod
    def from_json(cls, text: str) -> "BpeVocabulary":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            made = cls(Tokenizer.from_str(text))
            texts = made.texts
        except Exception as error:  # the library raises this very class
            raise ValueError(f"no vocabulary can be read ({error}); train it anew") from error
        if texts[END] or not {bytes([byte]) for byte in range(256)} <= set(texts):
            raise ValueError(
                f"id {END} is not the end of a document, or a byte is missing: this is not a"
                " vocabulary of models/text.py; train it anew"
            )
        return made

    def to_json(self) -> str:
        """All of it, as `tokenizers` writes it to a file; its ids there are those here."""
        text: str = self._tokenizer.to_str()
        return text

    @cached_property
    def texts(self) -> tuple[bytes, ...]:
        """The bytes of each id."""
        by_id = sorted((i, token) for token, i in self._tokenizer.get_vocab().items())
        return tuple(b"" if name == _END_NAME else token_bytes(name) for _, name in by_id)

    def encode(self, documents: Sequence[str]) -> list[NDArray[np.int32]]:
        """The ids of each document, without an end."""
        encoded = self._tokenizer.encode_batch_fast(list(documents))
        return [np.array(document.ids, np.int32) for document in encoded]


def token_bytes(token: str) -> bytes:
    """The bytes of a token as byte-level vocabularies write it, one character a byte.

    Raises:
        KeyError: a character that stands for no byte.
    """
    return bytes(_BYTES_OF[character] for character in token)


def _alphabet() -> dict[str, int]:
    """GPT-2's way to write each byte as a character that can be seen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(256) if byte not in seen]
    shown = dict(zip(map(chr, seen), seen, strict=True))
    return shown | {chr(256 + k): byte for k, byte in enumerate(unseen)}


_BYTES_OF = _alphabet()
