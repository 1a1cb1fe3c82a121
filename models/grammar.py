"""A grammar whose entropy is known, for text that every language model finds too hard by as much.

    Mira dwells in Tolu . the kesa ( the remos zulin ) who bosat deeply the lavi that
    the domas vekon ratit . Mira says the … seven plus two is nine .

A document is a list of choices, each with a probability. No two lists write the same text, so the
probability of a text is the product of its choices, and minus its logarithm, the surprisal, is
what the best possible model pays for the document, in nats, end included. It does not depend on
how the text is cut into tokens.

What there is to learn, from easy to hard: the words and their frequencies (Zipf); which follow
which; brackets that close as they opened, and verbs that agree in number with a noun clauses
away; topics that hold for a document, and what each word of them goes with; sums modulo the
number of numerals; where each name dwells and what it adores; the name that a document began with.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, product

from models.stream import philox

_SYLLABLES = [consonant + vowel for consonant, vowel in product("bdgklmnprstvz", "aeiou")]
_LEXICON = 2**64 - 1  # the number of the generator that draws the words; documents have lower ones
_DRAWN_AT_ONCE = 256

Choose = Callable[["Odds"], int]
_Noun = tuple[int, int, int]  # topic, number within it, 1 for several


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of a grammar; nouns, verbs and adjectives are so many a topic.

    `depth` is how deep clauses stand in clauses, `sentences` the fewest and most of a document.
    """

    topics: int = 8
    nouns: int = 24
    verbs: int = 12
    adjectives: int = 8
    adverbs: int = 20
    names: int = 80
    places: int = 40
    numerals: int = 19
    depth: int = 2
    sentences: tuple[int, int] = (3, 8)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text, and its surprisal in nats with its end; None where nobody knows it."""

    text: str
    nats: float | None


class Odds:
    """A distribution over a few outcomes, ready to draw from."""

    __slots__ = ("edges", "nats")

    def __init__(self, weights: Sequence[float]) -> None:
        total = math.fsum(weights)
        self.nats = [-math.log(weight / total) for weight in weights]
        self.edges = [edge / total for edge in accumulate(weights)][:-1]


_SENTENCE = Odds((0.5, 0.2, 0.15, 0.15))  # clause, speech, sum, fact
_FACT = Odds((0.5, 0.5))  # where a name dwells, what it adores
_PLURAL = Odds((0.6, 0.4))
_ADJECTIVE = Odds((0.65, 0.35))
_ADVERB = Odds((0.8, 0.2))
_ASIDE = Odds((0.84, 0.08, 0.08))  # none, a clause in round brackets, a name in square ones
_RELATIVE = Odds((0.7, 0.15, 0.15))  # none, with the noun as subject, as object
_SUM = Odds((0.5, 0.5))  # plus, less


class Grammar:
    """The lexicon of a seed and what its words go with; documents are drawn by number."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self._lexicon = _Lexicon(sizes)

    def document(self, number: int) -> Document:
        """Document `number`, from 0: a function of the sizes, the seed and the number."""
        generator = philox(self.sizes.seed, number)
        drawn: list[float] = []
        nats: list[float] = []

        def choose(odds: Odds) -> int:
            if not drawn:
                drawn.extend(generator.random(_DRAWN_AT_ONCE).tolist())
            outcome = bisect_right(odds.edges, drawn.pop())
            nats.append(odds.nats[outcome])
            return outcome

        text = " ".join(self.derive(choose))
        return Document(text=text, nats=math.fsum(nats))

    def derive(self, choose: Choose) -> Iterator[str]:
        """The words of the document whose every choice falls as `choose` says."""
        lexicon = self._lexicon
        topic, hero = choose(lexicon.topic), choose(lexicon.name)
        text = _Text(lexicon, choose, hero, lexicon.near_topic[topic])
        yield from (lexicon.titles[topic], ":")
        yield from text.fact(hero)
        for _ in range(self.sizes.sentences[0] - 1 + choose(lexicon.length)):
            yield from text.sentence()


class _Lexicon:
    """Words, and the odds of what goes with what, all drawn once from the seed."""

    def __init__(self, sizes: Sizes) -> None:
        self._generator = philox(sizes.seed, _LEXICON)
        self._spelt: set[str] = set()
        topics = range(sizes.topics)
        self.depth = sizes.depth
        self.titles = self._words(sizes.topics)
        self.nouns = [self._words(sizes.nouns) for _ in topics]
        self.verbs = [self._words(sizes.verbs) for _ in topics]
        self.adjectives = [self._words(sizes.adjectives) for _ in topics]
        self.adverbs = self._words(sizes.adverbs)
        self.numerals = self._words(sizes.numerals)
        self.names = [word.capitalize() for word in self._words(sizes.names)]
        self.places = [word.capitalize() for word in self._words(sizes.places)]
        # A verb takes objects, mostly of one topic, or (where 0 was drawn) none.
        self.object_topic = [self._draw(sizes.topics, sizes.verbs) for _ in topics]
        self.takes_object = [self._draw(3, sizes.verbs) for _ in topics]
        self._set_odds(sizes)

    def _set_odds(self, sizes: Sizes) -> None:
        topics = range(sizes.topics)
        low, high = sizes.sentences
        self.length = Odds([1.0] * (high - low + 1))
        self.numeral = Odds([1.0] * sizes.numerals)
        self.topic, self.name = Odds(_zipf(sizes.topics)), Odds(_zipf(sizes.names))
        self.noun, self.adverb = Odds(_zipf(sizes.nouns)), Odds(_zipf(sizes.adverbs))
        self.near_topic = [Odds(_favour(sizes.topics, topic, 0.8)) for topic in topics]
        self.near_name = [Odds(_favour(sizes.names, name, 0.8)) for name in range(sizes.names)]
        self.home = self._favourites(sizes.names, sizes.places, 0.9)
        self.adored = self._favourites(sizes.names, sizes.topics * sizes.nouns, 0.9)
        self.verb_of = [self._favourites(sizes.nouns, sizes.verbs, 0.6) for _ in topics]
        self.adjective_of = [self._favourites(sizes.nouns, sizes.adjectives, 0.6) for _ in topics]

    def _words(self, count: int) -> list[str]:
        """New words of two or three syllables; all end in a vowel, so endings can tell number."""
        made: list[str] = []
        while len(made) < count:
            drawn = self._draw(len(_SYLLABLES), 2 + len(made) % 2)
            word = "".join(_SYLLABLES[syllable] for syllable in drawn)
            if word not in self._spelt:
                self._spelt.add(word)
                made.append(word)
        return made

    def _favourites(self, count: int, outcomes: int, share: float) -> list[Odds]:
        return [Odds(_favour(outcomes, f, share)) for f in self._draw(outcomes, count)]

    def _draw(self, below: int, count: int) -> list[int]:
        drawn: list[int] = self._generator.integers(below, size=count).tolist()
        return drawn


@dataclass(frozen=True, slots=True)
class _Text:
    """A document being written. Whatever is chosen shows in the words, and only in one way."""

    lexicon: _Lexicon
    choose: Choose
    hero: int
    near: Odds  # topics of the nouns

    def sentence(self) -> Iterator[str]:
        kind = self.choose(_SENTENCE)
        if kind == 0:
            yield from self._clause(0)
            yield "."
        elif kind == 1:
            yield from (self._name(), "says", "that")
            yield from self._clause(0)
            yield "."
        elif kind == 2:
            yield from self._sum()
        else:
            yield from self.fact(self.choose(self.lexicon.near_name[self.hero]))

    def fact(self, name: int) -> Iterator[str]:
        """Where somebody dwells, or what it adores."""
        words = self.lexicon
        yield words.names[name]
        if self.choose(_FACT) == 0:
            yield from ("dwells", "in", words.places[self.choose(words.home[name])], ".")
        else:
            topic, noun = divmod(self.choose(words.adored[name]), len(words.nouns[0]))
            yield from ("adores", "the", words.nouns[topic][noun], ".")

    def _sum(self) -> Iterator[str]:
        """Two numerals and what they make, modulo the number of numerals."""
        numerals = self.lexicon.numerals
        a, b = self.choose(self.lexicon.numeral), self.choose(self.lexicon.numeral)
        sign, word = ((1, "plus"), (-1, "less"))[self.choose(_SUM)]
        total = (a + sign * b) % len(numerals)
        yield from (numerals[a], word, numerals[b], "is", numerals[total], ".")

    def _clause(self, depth: int) -> Iterator[str]:
        topic, noun, plural = yield from self._noun_phrase(depth, self.near)
        yield from self._verb_phrase(depth, (topic, noun, plural))

    def _noun_phrase(self, depth: int, near: Odds) -> Generator[str, None, _Noun]:
        """`the`, perhaps an adjective, a noun; then perhaps something in brackets and a clause."""
        words, choose = self.lexicon, self.choose
        topic, noun, plural = choose(near), choose(words.noun), choose(_PLURAL)
        yield "the"
        if choose(_ADJECTIVE):
            yield words.adjectives[topic][choose(words.adjective_of[topic][noun])]
        yield words.nouns[topic][noun] + ("", "s")[plural]
        if depth < words.depth:
            yield from self._aside(depth)
            yield from self._relative(depth, (topic, noun, plural))
        return topic, noun, plural

    def _aside(self, depth: int) -> Iterator[str]:
        kind = self.choose(_ASIDE)
        if kind == 1:
            yield "("
            yield from self._clause(depth + 1)
            yield ")"
        elif kind == 2:
            yield from ("[", self._name(), "]")

    def _relative(self, depth: int, head: _Noun) -> Iterator[str]:
        kind = self.choose(_RELATIVE)
        if kind == 1:
            yield "who"
            yield from self._verb_phrase(depth + 1, head)
        elif kind == 2:
            yield "that"
            subject = yield from self._noun_phrase(depth + 1, self.near)
            yield from self._verb(subject)

    def _verb_phrase(self, depth: int, subject: _Noun) -> Iterator[str]:
        """A verb and, where it takes one, its object."""
        topic, verb = subject[0], (yield from self._verb(subject))
        if self.lexicon.takes_object[topic][verb]:
            near = self.lexicon.near_topic[self.lexicon.object_topic[topic][verb]]
            yield from self._noun_phrase(depth, near)

    def _verb(self, subject: _Noun) -> Generator[str, None, int]:
        """A verb that agrees with its subject, perhaps with an adverb right behind it."""
        words, (topic, noun, plural) = self.lexicon, subject
        verb = self.choose(words.verb_of[topic][noun])
        yield words.verbs[topic][verb] + ("t", "n")[plural]
        if self.choose(_ADVERB):
            yield words.adverbs[self.choose(words.adverb)]
        return verb

    def _name(self) -> str:
        return self.lexicon.names[self.choose(self.lexicon.near_name[self.hero])]


def _zipf(count: int) -> list[float]:
    """Weights 1, 1/2, 1/3, …, which add up to one."""
    total = math.fsum(1 / rank for rank in range(1, count + 1))
    return [1 / rank / total for rank in range(1, count + 1)]


def _favour(count: int, favourite: int, share: float) -> list[float]:
    """Weights of which one outcome has `share` beside its part of the rest, which is Zipf's."""
    weights = [(1 - share) * weight for weight in _zipf(count)]
    weights[favourite] += share
    return weights
