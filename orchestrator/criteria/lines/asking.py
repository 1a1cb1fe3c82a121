"""Why a line is not judged by the machine, carried out of the depth of its reading."""

from orchestrator.domain.criterion import Clause, Decidable, Kind


class Question(Exception):  # noqa: N818 - not an error: an honest question
    """What a person must say before a claim can be judged; `clauses` is what was understood."""

    def __init__(
        self, why: str, *, kind: Kind, decidable: Decidable, clauses: tuple[Clause, ...] = ()
    ) -> None:
        super().__init__(why)
        self.why = why
        self.kind = kind
        self.decidable = decidable
        self.clauses = clauses


def ask(why: str, kind: Kind = Kind.THRESHOLD, clauses: tuple[Clause, ...] = ()) -> Question:
    """The words have two meanings, or leave out what is compared."""
    return Question(why, kind=kind, decidable=Decidable.ASK, clauses=clauses)


def declare(why: str, kind: Kind, clauses: tuple[Clause, ...] = ()) -> Question:
    """The claim is clear; a baseline, a derived metric, a family or a window must be declared."""
    return Question(why, kind=kind, decidable=Decidable.DECLARE, clauses=clauses)


def person(why: str, kind: Kind = Kind.MANUAL) -> Question:
    """No machine can tell."""
    return Question(why, kind=kind, decidable=Decidable.MANUAL)
