"""The grammar: one text, one list of choices, and so a surprisal that is the text's."""

import math
from collections import Counter

import pytest

from models.grammar import Grammar, Odds, Sizes

SMALL = Sizes(
    topics=2,
    nouns=2,
    verbs=2,
    adjectives=2,
    adverbs=2,
    names=2,
    places=2,
    numerals=3,
    depth=2,
    sentences=(1, 4),
)


class UndecidedError(Exception):
    """The choices that were decided are used up."""


class Trial:
    """Chooses as it was decided, and stops at the first choice that was not."""

    def __init__(self, decided):
        self.left, self.nats, self.next = list(decided), 0.0, None

    def __call__(self, odds):
        if not self.left:
            self.next = range(len(odds.nats))
            raise UndecidedError
        outcome = self.left.pop(0)
        self.nats += odds.nats[outcome]
        return outcome

    def fits(self, grammar, words):
        """Whether what it writes is all of `words`, or None if it may still become that."""
        written = 0
        try:
            for word in grammar.derive(self):
                if written == len(words) or words[written] != word:
                    return False
                written += 1
        except UndecidedError:
            return None
        return written == len(words)


def derivations(grammar, text):
    """The surprisal of every list of choices that writes `text`, by trying all."""
    found, untried = [], [[]]
    while untried:
        decided = untried.pop()
        trial = Trial(decided)
        fits = trial.fits(grammar, text.split())
        if fits is None:
            untried += [[*decided, outcome] for outcome in trial.next]
        elif fits:
            found.append(trial.nats)
    return found


@pytest.mark.parametrize("number", range(12))
def test_a_text_is_written_in_one_way_only(number):
    """Of all lists of choices exactly one writes the text, and it costs what the document says."""
    grammar = Grammar(SMALL)
    document = grammar.document(number)
    (nats,) = derivations(grammar, document.text)
    assert nats == pytest.approx(document.nats, rel=1e-12)


def test_the_texts_of_the_trials_use_everything():
    """The documents that are tried in full hold each construction of the grammar."""
    grammar = Grammar(SMALL)
    words = {word for n in range(12) for word in grammar.document(n).text.split()}
    assert words >= {
        "(",
        ")",
        "[",
        "]",
        "who",
        "that",
        "says",
        "dwells",
        "adores",
        "is",
        "plus",
        "less",
    }


def test_texts_come_as_often_as_their_surprisal_says():
    """The commonest documents of a tiny grammar have the share exp(-nats) of many draws."""
    sizes = Sizes(
        topics=1,
        nouns=1,
        verbs=1,
        adjectives=1,
        adverbs=1,
        names=2,
        places=2,
        numerals=2,
        depth=0,
        sentences=(1, 1),
    )
    grammar, count = Grammar(sizes), 4000
    drawn = [grammar.document(number) for number in range(count)]
    shares = {document.text: math.exp(-document.nats) for document in drawn}
    assert sum(shares.values()) == pytest.approx(1)  # it writes six texts, and all came
    found = Counter(document.text for document in drawn)
    assert len(found) == 6
    for text, share in shares.items():
        assert abs(found[text] / count - share) < 4 * math.sqrt(share * (1 - share) / count)


def test_documents_are_functions_of_seed_and_number():
    """In another order, from another object, the same; another seed has other words."""
    first, again = Grammar(Sizes()), Grammar(Sizes())
    backwards = [again.document(number) for number in (7, 3, 3)]
    assert backwards == [first.document(7), first.document(3), first.document(3)]
    assert first.document(3) != first.document(4)
    other = set(Grammar(Sizes(seed=1)).document(3).text.split())
    invented = set(first.document(3).text.split()) - {":", ".", "the", "that", "who", "in"}
    assert len(invented & other) < len(invented) / 4


def test_the_text_is_fixed_for_ever():
    """A corpus is not stored, so the words must not change with the code."""
    assert Grammar(Sizes()).document(0).text == (
        "netu : Pereze adores the zada . Pereze dwells in Vetege . the savuvos luzin ."
    )


@pytest.mark.parametrize("number", range(40))
def test_brackets_close_as_they_opened(number):
    """Read with a stack, every bracket meets its own kind."""
    stack = []
    for word in Grammar(Sizes()).document(number).text.split():
        if word in "([":
            stack.append({"(": ")", "[": "]"}[word])
        elif word in ")]":
            assert stack.pop() == word
    assert stack == []


def test_sums_are_right_and_recur():
    """The same two numerals always make the same third, and taking away undoes adding."""
    made = {}
    for number in range(300):
        words = Grammar(SMALL).document(number).text.split()
        for at, word in enumerate(words):
            if word == "is":
                made.setdefault(tuple(words[at - 3 : at]), set()).add(words[at + 1])
    assert len(made) == 18
    assert all(len(results) == 1 for results in made.values())
    for (a, sign, b), (result,) in made.items():
        if sign == "plus":
            assert made[result, "less", b] == {a}


def test_a_document_speaks_of_its_topic():
    """Whatever the title, no other topic has as many of the document's nouns as the title's."""
    grammar = Grammar(Sizes())
    lexicon = grammar._lexicon
    topic_of = {noun: topic for topic, nouns in enumerate(lexicon.nouns) for noun in nouns}
    counts = {title: Counter() for title in lexicon.titles}
    for number in range(400):
        title, *words = grammar.document(number).text.split()
        nouns = (word.removesuffix("s") for word in words)
        counts[title].update(topic_of[noun] for noun in nouns if noun in topic_of)
    assert [count.most_common(1)[0][0] for count in counts.values()] == list(range(8))


def test_odds_are_a_distribution():
    """Surprisals are those of shares that add up to one; edges are where the shares end."""
    odds = Odds([1, 2, 5])
    assert [math.exp(-n) for n in odds.nats] == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert odds.edges == pytest.approx([1 / 8, 3 / 8])


def test_the_entropy_is_what_the_documents_say():
    """Nats a document of the standard grammar, measured over 20,000: 88.7, known to 0.3."""
    grammar = Grammar(Sizes())
    nats = [grammar.document(number).nats for number in range(1000)]
    assert sum(nats) / 1000 == pytest.approx(88.7, abs=5)
