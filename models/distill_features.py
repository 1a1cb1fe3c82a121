"""Terms of distillation on what is inside: hidden states, relations, attention maps.

Every function returns one value a valid token, [N], in the order of `x_BLD[valid_BL]`; dimensions,
heads and layers are averaged inside, so that their number, like that of tokens and rows, does not
change a value. The teacher never gets a gradient.

    hidden states     squared error per dimension of a learned projection   FitNets 1412.6550
                      and the normed state of the teacher                   ours: see HiddenStates
    relations         KL of softmax(A A^T / sqrt(P)), of queries, of keys   MiniLMv2 2012.15828
                      and of values, over relation heads                    sec. 3
    attention maps    squared distance of rows, each of length 1            1612.03928 sec. 3.1

Only causal models: a token meets itself and those before it, so padding on the right meets nobody.

Shapes: B rows, L tokens, D width, H heads, P size of a head, R relation heads, K layers, N valid
tokens. Layers are numbered 1 to K; state 0 is that of the embedded tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import rms_norm

Pairs = Sequence[tuple[int, int]]


def even_layers(student: int, teacher: int) -> tuple[tuple[int, int], ...]:
    """Pair each of the student's layers with one of the teacher's, evenly; the last with the last.

    Three layers and six: (1, 2), (2, 4), (3, 6).
    """
    return tuple((layer, -(-layer * teacher // student)) for layer in range(1, student + 1))


class HiddenStates(nn.Module):
    """Squared error of the teacher's hidden states, predicted from the student's.

    Each pair of layers has a learned projection, which the optimizer must be given with the
    student. The teacher's state is scaled to a mean square of 1, as its own next layer reads it
    behind a norm: to predict nothing costs 1, whatever the teacher, the layer and the width.
    """

    def __init__(self, pairs: Pairs, student_width: int, teacher_width: int) -> None:
        super().__init__()
        self.pairs = tuple(pairs)
        self.projections = nn.ModuleList(
            nn.Linear(student_width, teacher_width, bias=False) for _ in self.pairs
        )

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], valid_BL: Tensor | None = None
    ) -> Tensor:
        """Mean over layers and dimensions, [N]; states of K + 1 of [B, L, D] each.

        Raises:
            ValueError: there are no pairs, or one names a layer that there is not.
        """
        _check_layers(self.pairs, len(student) - 1, len(teacher) - 1, least=0)
        losses = []
        for (ours, theirs), projection in zip(self.pairs, self.projections, strict=True):
            target_ND = rms_norm(_valid(teacher[theirs].detach(), valid_BL).float())
            predicted_ND = projection(_valid(student[ours], valid_BL))
            losses.append((predicted_ND.float() - target_ND).square().mean(-1))
        return torch.stack(losses).mean(0)


def relation_losses(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    heads: int,
    valid_BL: Tensor | None = None,
) -> Tensor:
    """KL of the teacher's relations between a token and those before it and the student's, [N].

    Each side gives the vectors of ONE layer, [B, H, L, P] each, usually (queries, keys, values) of
    the last. Their heads are joined and cut anew into `heads` relation heads on both sides, so the
    two may differ in heads and width. The mean is over relation heads and kinds of vectors.

    Raises:
        ValueError: the sides give different kinds, or a width that `heads` does not divide.
    """
    if not 0 < len(student) == len(teacher):
        raise ValueError(
            f"{len(student)} kinds of vectors of the student, {len(teacher)} of the teacher: give "
            "the same on both sides, as (queries, keys, values) of one layer"
        )
    losses_BL = []
    for ours, theirs in zip(student, teacher, strict=True):
        log_q_BRLL = _log_relations(ours, heads)
        log_p_BRLL = _log_relations(theirs.detach(), heads)
        # Both are -inf for later tokens, whose difference would be NaN.
        apart_BRLL = (log_p_BRLL - log_q_BRLL).masked_fill(_later(log_q_BRLL), 0)
        losses_BL.append((log_p_BRLL.exp() * apart_BRLL).sum(-1).mean(1))
    return _valid(torch.stack(losses_BL).mean(0), valid_BL)


def attention_losses(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    pairs: Pairs,
    valid_BL: Tensor | None = None,
) -> Tensor:
    """Squared distance of the two models' attention of a token, from 0 to 2, [N].

    A map is the mean over the heads of a layer, [B, H, L, L] for each of K layers, and each row of
    it is scaled to length 1 before the two are compared. The mean is over the pairs of layers.

    Raises:
        ValueError: there are no pairs, or one names a layer that there is not.
    """
    _check_layers(pairs, len(student), len(teacher), least=1)
    losses = []
    for ours, theirs in pairs:
        ours_NL = F.normalize(_valid(student[ours - 1].float().mean(1), valid_BL), dim=-1)
        theirs_NL = _valid(teacher[theirs - 1].detach().float().mean(1), valid_BL)
        losses.append((ours_NL - F.normalize(theirs_NL, dim=-1)).square().sum(-1))
    return torch.stack(losses).mean(0)


def _log_relations(x_BHLP: Tensor, heads: int) -> Tensor:
    """Log-softmax of the scaled products of a token's vector with those before it, [B, R, L, L]."""
    joined_BLD = x_BHLP.transpose(1, 2).flatten(2).float()
    if joined_BLD.shape[-1] % heads:
        raise ValueError(
            f"{heads} relation heads do not divide a width of {joined_BLD.shape[-1]}: choose a "
            "number that divides the student's and the teacher's"
        )
    x_BRLP = joined_BLD.unflatten(-1, (heads, -1)).transpose(1, 2)
    scores_BRLL = x_BRLP @ x_BRLP.transpose(-1, -2) * x_BRLP.shape[-1] ** -0.5
    return scores_BRLL.masked_fill(_later(scores_BRLL), -torch.inf).log_softmax(-1)


def _later(x_BRLL: Tensor) -> Tensor:
    """Whether a token comes after the one that looks, [L, L]."""
    return torch.ones(x_BRLL.shape[-2:], dtype=torch.bool, device=x_BRLL.device).triu(1)


def _valid(x_BL: Tensor, valid_BL: Tensor | None) -> Tensor:
    """The valid tokens of [B, L, ...], one after the other; all of them if there is no padding."""
    return x_BL.flatten(0, 1) if valid_BL is None else x_BL[valid_BL]


def _check_layers(pairs: Pairs, student: int, teacher: int, least: int) -> None:
    """Refuse pairs of layers outside of `least` to the number that each side has, and no pairs."""
    if not pairs:
        raise ValueError("no pairs of layers to compare: even_layers makes some")
    for ours, theirs in pairs:
        if not (least <= ours <= student and least <= theirs <= teacher):
            raise ValueError(
                f"pair ({ours}, {theirs}): the student has layers {least} to {student}, the "
                f"teacher {least} to {teacher}; were all of them kept?"
            )
