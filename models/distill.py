"""Terms of distillation on logits: how far a student's next-token distribution is from a teacher's.

Every function returns one value a token, [N], in nats: means are taken where totals and counts of
the whole batch are known (models/objective.py). The teacher never gets a gradient.

Choices, each with its source:

    T^2 KL(teacher || student), both at temperature T      Hinton 2015 (1503.02531) sec. 2
    the teacher's k likeliest tokens and one bucket of     ours: a lower bound of the full term that
        what is left over, on both sides                   grows with k and meets it at k = V
    the same without the bucket, renormalised              biased (2503.16870): for comparison
    tokens drawn from the teacher                          2503.16870; unbiased, see `kd_sampled`
    another vocabulary only by tokens of equal text        ours: models/alignment.py

With T^2 the gradient with respect to the student's logits is T (student - teacher): it keeps its
size as T grows, so the weight of the term need not follow T.

No copy of [N, V] is made in float32 and none is kept for the backward pass: rows go through in
parts, and the backward pass computes the softmax again, into the gradient.

Shapes: N tokens, V vocabulary, K kept or drawn tokens.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.alignment import Alignment

# Numbers of one part: small enough for the cache of a processor, large enough to keep a GPU busy.
_PART_CPU, _PART_GPU = 2**19, 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK:
    """What is kept of a teacher's distribution at a temperature: its likeliest tokens.

    ids_NK: the student's ids of the tokens, no id twice in a row. logprobs_NK: of each, over the
    teacher's whole vocabulary. left_over_N: log of the mass of all other tokens, -inf if none are.
    vocabulary: number of the student's tokens. All of it can be cached: 4 + 12 K bytes a token.
    """

    ids_NK: Tensor
    logprobs_NK: Tensor
    left_over_N: Tensor
    temperature: float
    vocabulary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Tokens drawn with replacement from a teacher's distribution at a temperature.

    ids_NK may hold an id several times in a row. logprobs_NK: of each, in the teacher.
    """

    ids_NK: Tensor
    logprobs_NK: Tensor
    temperature: float
    vocabulary: int


def kd_full(student_NV: Tensor, teacher_NV: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher || student) over the whole vocabulary, [N].

    A token that the teacher excludes (-inf) costs nothing; one that only the student excludes
    costs infinity.

    Raises:
        ValueError: the two are of different shapes, or the temperature is not above 0.
    """
    _check_temperature(temperature)
    if student_NV.shape != teacher_NV.shape:
        raise ValueError(
            f"the student's logits are {list(student_NV.shape)}, the teacher's "
            f"{list(teacher_NV.shape)}: both must be of the same tokens and the same vocabulary; "
            "for another vocabulary use models.alignment.align and top_k"
        )
    return _Full.apply(student_NV, teacher_NV.detach(), temperature)


def kd_top_k(student_NV: Tensor, kept: TopK) -> Tensor:
    """T^2 KL over the kept tokens and one bucket of the left over mass of either side, [N].

    Never above `kd_full`, never smaller for more tokens, equal to it at K = V. On the kept tokens
    its gradient is that of `kd_full`; on the others only the sum of it is.

    Raises:
        ValueError: the student's vocabulary is not the one that the tokens were kept for.
    """
    _check_vocabulary(student_NV, kept)
    target = _Target(
        ids_NK=kept.ids_NK,
        weights_NK=kept.logprobs_NK.exp(),
        logprobs_NK=kept.logprobs_NK,
        left_over_N=kept.left_over_N,
        temperature=kept.temperature,
    )
    return _Sparse.apply(student_NV, target)


def kd_top_k_renormalised(student_NV: Tensor, kept: TopK) -> Tensor:
    """T^2 KL between both distributions renormalised over the kept tokens, [N]. Biased.

    It does not see how much mass the student gives to the tokens that were not kept, and sends
    them no gradient: a student of loss 0 may be far from the teacher. For comparison only.

    Raises:
        ValueError: the student's vocabulary is not the one that the tokens were kept for.
    """
    _check_vocabulary(student_NV, kept)
    log_q_NK = _scaled(student_NV.gather(-1, kept.ids_NK), kept.temperature).log_softmax(-1)
    log_p_NK = kept.logprobs_NK.log_softmax(-1)
    return kept.temperature**2 * _expected(log_p_NK.exp(), log_p_NK - log_q_NK)


def kd_sampled(student_NV: Tensor, drawn: Sampled) -> Tensor:
    """T^2 times the mean over the drawn tokens of log teacher - log student, [N].

    Its expectation over the draws is `kd_full`, in value and in gradient: the tokens are drawn
    from the teacher itself, so each weighs 1 / K. A single value may be below 0.

    Raises:
        ValueError: the student's vocabulary is not the one that the tokens were drawn for.
    """
    _check_vocabulary(student_NV, drawn)
    target = _Target(
        ids_NK=drawn.ids_NK,
        weights_NK=torch.full_like(drawn.logprobs_NK, 1 / drawn.ids_NK.shape[-1]),
        logprobs_NK=drawn.logprobs_NK,
        left_over_N=None,
        temperature=drawn.temperature,
    )
    return _Sparse.apply(student_NV, target)


def cross_entropy(student_NV: Tensor, labels_N: Tensor) -> Tensor:
    """-log of the student's probability of the labels, [N]; every label is scored."""
    certain_N1 = torch.zeros_like(labels_N[:, None], dtype=_at_least_float32(student_NV))
    target = _Target(
        ids_NK=labels_N[:, None],
        weights_NK=certain_N1.exp(),
        logprobs_NK=certain_N1,
        left_over_N=None,
        temperature=1.0,
    )
    return _Sparse.apply(student_NV, target)


@torch.no_grad()
def top_k(
    teacher_NV: Tensor, k: int, temperature: float, alignment: Alignment | None = None
) -> TopK:
    """Keep the teacher's k likeliest tokens; with an alignment, of those that the student has.

    Raises:
        ValueError: k is not between 1 and the number of tokens to choose from, the temperature is
            not above 0, or the logits are not of the alignment's teacher.
    """
    _check_temperature(temperature)
    vocabulary = teacher_NV.shape[-1]
    if alignment is not None and alignment.teacher != vocabulary:
        raise ValueError(
            f"the teacher's logits are of {vocabulary:,} tokens, the alignment of "
            f"{alignment.teacher:,}: align the vocabulary of this teacher"
        )
    choice = vocabulary if alignment is None else len(alignment.teacher_ids_A)
    if not 1 <= k <= choice:
        raise ValueError(f"k={k}: choose one from 1 to {choice:,}, the tokens to choose from")
    parts = []
    for rows in _parts(teacher_NV):
        x_RV = _from_top(_scaled(teacher_NV[rows], temperature))[0]
        teacher_RK, student_RK = _likeliest(x_RV, k, alignment)
        kept_RK = x_RV.gather(-1, teacher_RK)
        others_R = x_RV.scatter_(-1, teacher_RK, -math.inf).logsumexp(-1)
        all_R = torch.logaddexp(kept_RK.logsumexp(-1), others_R)
        parts.append((student_RK, kept_RK - all_R[:, None], others_R - all_R))
    ids_NK, logprobs_NK, left_over_N = map(torch.cat, zip(*parts, strict=True))
    return TopK(
        ids_NK=ids_NK,
        logprobs_NK=logprobs_NK,
        left_over_N=left_over_N,
        temperature=temperature,
        vocabulary=vocabulary if alignment is None else alignment.student,
    )


def _likeliest(x_RV: Tensor, k: int, alignment: Alignment | None) -> tuple[Tensor, Tensor]:
    """The teacher's and the student's ids of the k largest that may be kept, [R, K] each."""
    if alignment is None:
        ids_RK = x_RV.topk(k).indices
        return ids_RK, ids_RK
    teacher_ids_A = alignment.teacher_ids_A.to(x_RV.device)
    place_RK = x_RV[:, teacher_ids_A].topk(k).indices
    return teacher_ids_A[place_RK], alignment.student_ids_A.to(x_RV.device)[place_RK]


@torch.no_grad()
def sample(
    teacher_NV: Tensor, draws: int, temperature: float, generator: torch.Generator | None = None
) -> Sampled:
    """Draw tokens with replacement from the teacher's distribution.

    Raises:
        ValueError: draws is below 1, or the temperature is not above 0.
    """
    _check_temperature(temperature)
    if draws < 1:
        raise ValueError(f"draws={draws}: draw at least one token")
    parts = []
    for rows in _parts(teacher_NV):
        log_p_RV = _scaled(teacher_NV[rows], temperature).log_softmax(-1)
        ids_RK = log_p_RV.exp().multinomial(draws, replacement=True, generator=generator)
        parts.append((ids_RK, log_p_RV.gather(-1, ids_RK)))
    ids_NK, logprobs_NK = map(torch.cat, zip(*parts, strict=True))
    return Sampled(
        ids_NK=ids_NK,
        logprobs_NK=logprobs_NK,
        temperature=temperature,
        vocabulary=teacher_NV.shape[-1],
    )


class _Full(torch.autograd.Function):
    """T^2 KL(teacher || student), of logits; the gradient is T (student - teacher)."""

    @staticmethod
    def forward(ctx: Any, student_NV: Tensor, teacher_NV: Tensor, temperature: float) -> Tensor:
        ctx.save_for_backward(student_NV, teacher_NV)
        ctx.temperature = temperature
        values_N = student_NV.new_empty(len(student_NV), dtype=_at_least_float32(student_NV))
        for rows in _parts(student_NV):
            log_q_RV = _scaled(student_NV[rows], temperature).log_softmax(-1)
            log_p_RV = _scaled(teacher_NV[rows], temperature).log_softmax(-1)
            apart_RV = log_q_RV.neg_().add_(log_p_RV)
            values_N[rows] = temperature**2 * _expected(log_p_RV.exp_(), apart_RV)
        return values_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor, None, None]:
        student_NV, teacher_NV = ctx.saved_tensors
        grad_NV = torch.empty_like(student_NV)
        for rows in _parts(student_NV):
            q_RV = _scaled(student_NV[rows], ctx.temperature).softmax(-1)
            p_RV = _scaled(teacher_NV[rows], ctx.temperature).softmax(-1)
            grad_R1 = (ctx.temperature * grad_N[rows])[:, None]
            grad_NV[rows] = q_RV.sub_(p_RV).mul_(grad_R1)
        return grad_NV, None, None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A distribution on a few ids a row, and on one bucket of all others, or on none (None).

    weights_NK: of the ids. logprobs_NK, left_over_N: what the student's log-probabilities are
    taken from. With a bucket no id comes twice in a row, without one it may.
    """

    ids_NK: Tensor
    weights_NK: Tensor
    logprobs_NK: Tensor
    left_over_N: Tensor | None
    temperature: float


class _Sparse(torch.autograd.Function):
    """T^2 KL(target || student), of logits; the gradient is T (student - target).

    The mass that the student leaves over is added up from the other tokens: as 1 - (mass of the
    ids) it would be lost to rounding where the ids have nearly all of it.
    """

    @staticmethod
    def forward(ctx: Any, student_NV: Tensor, target: _Target) -> Tensor:
        dtype = _at_least_float32(student_NV)
        # Of a row: its largest logit, the logsumexp of all, that of the others; from the largest.
        top_N, all_N, others_N = student_NV.new_empty(3, len(student_NV), dtype=dtype)
        chosen_NK = torch.empty_like(target.weights_NK, dtype=dtype)
        for rows in _parts(student_NV):
            x_RV, top_N[rows] = _from_top(_scaled(student_NV[rows], target.temperature))
            chosen_NK[rows] = x_RV.gather(-1, target.ids_NK[rows])
            if target.left_over_N is None:
                all_N[rows] = x_RV.logsumexp(-1)
            else:
                x_RV.scatter_(-1, target.ids_NK[rows], -math.inf)
                others_N[rows] = x_RV.logsumexp(-1)
        if target.left_over_N is not None:
            all_N = torch.logaddexp(others_N, chosen_NK.logsumexp(-1))
        log_q_NK = chosen_NK - all_N[:, None]
        values_N = _expected(target.weights_NK, target.logprobs_NK - log_q_NK)
        if target.left_over_N is not None:
            apart_N1 = (target.left_over_N - (others_N - all_N))[:, None]
            values_N = values_N + _expected(target.left_over_N.exp()[:, None], apart_N1)
        ctx.save_for_backward(student_NV, top_N, all_N, others_N, log_q_NK)
        ctx.target = target
        return target.temperature**2 * values_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor, None]:
        student_NV, top_N, all_N, others_N, log_q_NK = ctx.saved_tensors
        target: _Target = ctx.target
        grad_NV = torch.empty_like(student_NV)
        grad_N1 = (target.temperature * grad_N)[:, None]
        weights_NK = grad_N1 * target.weights_NK
        if target.left_over_N is None:
            base_N1, scale_N1 = all_N[:, None], grad_N1
        else:
            # What the bucket has too much of is taken from the others by their shares in it.
            excess_N = (others_N - all_N).exp() - target.left_over_N.exp()
            scale_N1 = grad_N1 * excess_N[:, None]
            base_N1 = others_N.masked_fill(others_N == -math.inf, 0)[:, None]
            weights_NK -= grad_N1 * log_q_NK.exp()
        for rows in _parts(student_NV):
            x_RV = _scaled(student_NV[rows], target.temperature)
            x_RV.sub_(top_N[rows, None]).sub_(base_N1[rows]).exp_().mul_(scale_N1[rows])
            if target.left_over_N is not None:
                x_RV.scatter_(-1, target.ids_NK[rows], 0)
            grad_NV[rows] = x_RV.scatter_add_(-1, target.ids_NK[rows], -weights_NK[rows])
        return grad_NV, None


def _parts(x_NV: Tensor) -> Iterator[slice]:
    """Parts of the rows, of a size that suits the device; at least one, even if it is empty."""
    size = _PART_GPU if x_NV.is_cuda else _PART_CPU
    rows = max(1, size // x_NV.shape[-1])
    return (slice(start, start + rows) for start in range(0, max(1, len(x_NV)), rows))


def _at_least_float32(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _scaled(x: Tensor, temperature: float) -> Tensor:
    """The logits over the temperature, in a new tensor of float32 or finer."""
    return x.to(_at_least_float32(x)) / temperature


def _from_top(x_RV: Tensor) -> tuple[Tensor, Tensor]:
    """In place, x less the largest of its row, and the largest: what is near 0 rounds less."""
    top_R = x_RV.amax(-1)
    return x_RV.sub_(top_R[:, None]), top_R


def _expected(p_RK: Tensor, apart_RK: Tensor) -> Tensor:
    """Sum of p times what is apart, [R]; 0 where p is 0, even if an infinity is apart."""
    return apart_RK.masked_fill(p_RK == 0, 0).mul(p_RK).sum(-1)


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: choose one above 0")


def _check_vocabulary(student_NV: Tensor, teacher: TopK | Sampled) -> None:
    if student_NV.shape[-1] != teacher.vocabulary:
        raise ValueError(
            f"the student's logits are of {student_NV.shape[-1]:,} tokens, the teacher's tokens "
            f"of a vocabulary of {teacher.vocabulary:,}: keep or draw them for this vocabulary"
        )
