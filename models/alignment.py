"""Two vocabularies: whether they are one, and which tokens of them have the same text.

Logits of one vocabulary say nothing about the ids of another, so a teacher and a student of
different vocabularies are refused (`check_vocabularies`) unless equal tokens are paired (`align`).
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Pairs of ids, [A], of equal text in a teacher's and a student's vocabulary of these sizes."""

    teacher_ids_A: Tensor
    student_ids_A: Tensor
    teacher: int
    student: int

    def for_teacher(self, tokens: Tensor) -> Tensor:
        """The student's tokens as the teacher's ids, so that both read the same cuts of a text.

        Raises:
            ValueError: the teacher has no token of the text of one of them.
        """
        table_V = torch.full((self.student,), -1, device=tokens.device)
        table_V[self.student_ids_A.to(tokens.device)] = self.teacher_ids_A.to(tokens.device)
        read = table_V[tokens]
        if bool((read < 0).any()):
            missing = tokens[read < 0].unique().tolist()
            raise ValueError(
                f"the teacher has no token of the text of the student's {missing[:5]}"
                f"{' and others' if len(missing) > 5 else ''}: leave such texts out, or train the "
                "student with the teacher's vocabulary"
            )
        return read


def align(student: Sequence[str | bytes], teacher: Sequence[str | bytes]) -> Alignment:
    """Pair the tokens of equal text of two vocabularies, each a list of texts by id.

    Of several tokens of one text the first counts. What the student has no token for goes to the
    left over mass.

    Raises:
        ValueError: they have no token in common.
    """
    first = {text: place for place, text in reversed(list(enumerate(teacher)))}
    pairs: dict[int, int] = {}
    for place, text in enumerate(student):
        if text in first:
            pairs.setdefault(first[text], place)
    if not pairs:
        raise ValueError(
            f"no token of the student ({len(student):,}) has the text of one of the teacher "
            f"({len(teacher):,}): are both lists of texts by id, in the same alphabet?"
        )
    return Alignment(
        teacher_ids_A=torch.tensor(list(pairs)),
        student_ids_A=torch.tensor(list(pairs.values())),
        teacher=len(teacher),
        student=len(student),
    )


def check_vocabularies(student: Sequence[str | bytes], teacher: Sequence[str | bytes]) -> None:
    """Refuse two vocabularies, lists of texts by id, in which an id means different tokens.

    Raises:
        ValueError: they differ; it names the first id at which they do.
    """
    if len(student) == len(teacher) and all(map(operator.eq, student, teacher)):
        return
    both = enumerate(zip(student, teacher, strict=False))
    at = next((place for place, (ours, theirs) in both if ours != theirs), None)
    where = (
        "one is the beginning of the other"
        if at is None
        else f"id {at} is {student[at]!r} for the student and {teacher[at]!r} for the teacher"
    )
    raise ValueError(
        f"the student's vocabulary ({len(student):,} tokens) is not the teacher's "
        f"({len(teacher):,}): {where}; train both with one vocabulary, or pair equal tokens by "
        "models.alignment.align and keep the teacher's with models.distill.top_k"
    )
