"""Two vocabularies: refused, or paired by text."""

import pytest
import torch

from models.alignment import align, check_vocabularies
from models.distill import kd_full, kd_top_k, top_k

TEACHER = [b"<pad>", b"a", b"b", b"c", b"ab", b"a"]
STUDENT = [b"c", b"b", b"zz", b"a"]


def test_one_vocabulary_passes_and_another_is_refused_with_the_first_difference():
    """Equal lists pass; another order, another text or another length do not."""
    check_vocabularies(TEACHER, list(TEACHER))
    with pytest.raises(ValueError, match=r"4 tokens.*6.*id 0 is b'c'.*b'<pad>'.*align"):
        check_vocabularies(STUDENT, TEACHER)
    with pytest.raises(ValueError, match="id 1 is 'x' for the student and 'b' for the teacher"):
        check_vocabularies(["a", "x"], ["a", "b"])
    with pytest.raises(ValueError, match="one is the beginning of the other"):
        check_vocabularies(TEACHER[:3], TEACHER)


def test_a_reordered_vocabulary_loses_nothing():
    """The teacher's words in another order, all kept: the term is the full one of one order."""
    source = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 3, 8, generator=source, dtype=torch.float64)
    order = torch.randperm(8, generator=source)
    words = [f"w{place}" for place in range(8)]
    kept = top_k(teacher[:, order], 8, 2.0, align(words, [words[place] for place in order]))
    torch.testing.assert_close(kd_top_k(student, kept), kd_full(student, teacher, 2.0))


def test_tokens_without_a_pair_are_left_over():
    """What only one of the two knows is in the bucket; pairs are compared by text."""
    teacher = torch.tensor([[1.0, 2.0, 0.5, -1.0, 3.0, 0.7]], dtype=torch.float64)
    student = torch.tensor([[0.3, -0.2, 1.0, 0.6]], dtype=torch.float64)
    kept = top_k(teacher, 3, 1.0, align(STUDENT, TEACHER))
    p, q = teacher.softmax(-1)[0], student.softmax(-1)[0]
    pairs = [(p[1], q[3]), (p[2], q[1]), (p[3], q[0]), (p[0] + p[4] + p[5], q[2])]
    expected = sum(theirs * (theirs / ours).log() for theirs, ours in pairs)
    assert kept.ids_NK.tolist() == [[3, 1, 0]]
    assert kept.vocabulary == len(STUDENT)
    torch.testing.assert_close(kd_top_k(student, kept), expected[None])
    two = top_k(teacher, 2, 1.0, align(STUDENT, TEACHER))
    assert two.ids_NK.tolist() == [[3, 1]]
    assert two.left_over_N.exp().item() == pytest.approx((1 - p[1] - p[2]).item())


def test_the_teacher_reads_the_tokens_of_the_student():
    """They are translated by text; one that the teacher does not have is refused by its id."""
    alignment = align(STUDENT, TEACHER)
    assert alignment.for_teacher(torch.tensor([[3, 0], [1, 3]])).tolist() == [[1, 3], [2, 1]]
    with pytest.raises(ValueError, match=r"student's \[2\]: leave such texts out"):
        alignment.for_teacher(torch.tensor([3, 2]))


def test_vocabularies_that_share_nothing_and_other_teachers_are_refused():
    """No common token, more tokens than pairs, and logits of another width are errors."""
    with pytest.raises(ValueError, match=r"no token of the student \(2\).*teacher \(6\)"):
        align([b"x", b"y"], TEACHER)
    with pytest.raises(ValueError, match="k=4: choose one from 1 to 3"):
        top_k(torch.zeros(1, 6), 4, 1.0, align(STUDENT, TEACHER))
    with pytest.raises(ValueError, match="logits are of 7 tokens, the alignment of 6"):
        top_k(torch.zeros(1, 7), 2, 1.0, align(STUDENT, TEACHER))
