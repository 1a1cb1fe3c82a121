"""Which curve is what, by the names that people use: one table, and how a name is taken apart.

`ours/seed_0/val/loss` is a member (`ours/seed_0`), a side (`val`, which is evaluation) and a
measure (`loss`). Without a side a name is training's. The surest origin of a measure counts
(`log/loss` is no second loss beside `train/loss`), and what the record declares of a metric wins
over its name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from orchestrator.diagnose.case import Case, Curve
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.run import MetricSpec
from orchestrator.domain.series import origin_of, plain_name, surest


class Side(StrEnum):
    """On what a value was measured."""

    TRAIN = "train"  # on the batches of training, while it goes on
    EVAL = "eval"  # on other examples, or with the weights standing still


class Measure(StrEnum):
    """What a value is."""

    LOSS = "loss"
    TERM = "term"  # a part of a loss that stands beside it
    PERPLEXITY = "perplexity"
    LEARNING_RATE = "learning rate"
    GRADIENT_NORM = "gradient norm"
    ACCURACY = "accuracy"  # share of parts that are right: pixels, tokens, examples
    EXACT = "exact"  # share of whole answers that are right
    RECALL = "recall"  # of one class
    COUNT = "count"  # of the examples of one class
    CHANCE = "chance"  # what a constant predictor reaches
    OTHER = "other"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Words are lower case; `-`, `.` and blanks count as `_`.
TRAIN_WORDS = frozenset(_words("train training trn tr"))
EVAL_WORDS = frozenset(
    _words("val valid validation eval evaluation test testing dev heldout held_out holdout")
    + _words("seen ood")  # training examples asked again, and those of another kind
)
# The surest name of a loss first: the others beside it are its terms.
LOSS_NAMES = _words(
    "loss loss_step total_loss loss_total objective lm_loss nll nll_loss cross_entropy "
    "cross_entropy_loss "
    "ce_loss ce xent xent_loss mse_loss mse recon_loss elbo_loss loss_epoch"
)
NAMES: Mapping[Measure, tuple[str, ...]] = {
    Measure.PERPLEXITY: _words("ppl perplexity bits_per_byte bpb bpc bits_per_char"),
    Measure.LEARNING_RATE: _words(
        "lr learning_rate learningrate lr_0 lr0 lr_group_0 lr_group0 base_lr current_lr"
    ),
    Measure.GRADIENT_NORM: _words(
        "grad_norm gradient_norm gnorm gradnorm total_grad_norm grad_norm_total grad_l2_norm "
        "global_norm global_grad_norm gradients_norm gradient_l2_norm"
    ),
    Measure.ACCURACY: _words(
        "acc accuracy acc1 acc_1 acc@1 top1 top_1 top1_acc top1_accuracy acc_top1 pixel_acc "
        "pixel_accuracy token_acc token_accuracy mean_token_accuracy cell_acc cell_accuracy"
    ),
    Measure.EXACT: _words(
        "exact exact_match em exact_acc exact_accuracy exact_match_accuracy grid_acc "
        "grid_accuracy solved success_rate pass@1 pass_1 pass_at_1 perfect_grids"
    ),
    Measure.CHANCE: _words(
        "chance majority majority_acc majority_accuracy constant constant_acc constant_accuracy "
        "baseline_acc baseline_accuracy acc_baseline majority_baseline constant_baseline"
    ),
}
# Before the number of a class: `recall/3`, `acc/class_3`, `class_3/recall`.
RECALL_HEADS = _words(
    "recall acc accuracy class_acc class_accuracy class_recall per_class_acc per_class_accuracy "
    "per_class_recall"
)
COUNT_HEADS = _words("support count counts examples_per_class pixels_per_class class_count")
# Before the name of a term, and of a norm.
LOSS_HEADS = _words("loss losses")
GRADIENT_HEADS = _words("grad gradient gradients")
# What stands in such a group is no measurement of this model at this step.
FOREIGN = frozenset(
    _words("baseline baselines chance uniform unigram teacher best lowest highest target goal")
    + _words("reference ref initial untrained prior frozen")
)
# Where these are logged, a loss follows what the policy or the rival does and is no progress.
RIVALRY = frozenset(
    _words("reward rewards return returns episode episodic rollout discriminator generator critic")
    + _words("actor policy d_loss g_loss loss_d loss_g disc_loss gen_loss adversarial gan")
)

_MEASURES = {name: measure for measure, names in NAMES.items() for name in names}
_HEADS = frozenset(
    (*LOSS_NAMES, *_MEASURES, *RECALL_HEADS, *COUNT_HEADS, *LOSS_HEADS, *GRADIENT_HEADS)
)
_TOGETHER = 60.0  # seconds in which the values of one evaluation are written
_CLASS = re.compile(r"(?:class_?|color_?|label_?)?(\d+)", re.ASCII)
_CLASS_IN_NAME = re.compile(
    r"(?:recall_(?:class_?|color_?|label_?)?|acc(?:uracy)?_(?:class|color|label)_?)(\d+)", re.ASCII
)
_OPTIMIZER_RATE = re.compile(r"lr_(?:adam|sgd|adamw|muon|lion|adafactor|rmsprop)\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A series' name taken apart.

    `side_word` is the side as it was written, empty without one; `group` what stands between side
    and measure (a data set: `val/c4/loss`); `part` the loss term or the class, empty for the whole.
    """

    series: str
    member: str
    side: Side
    side_word: str
    group: str
    measure: Measure
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A curve and what it is; `spec` is what the record declares of it."""

    name: Name
    curve: Curve
    spec: MetricSpec | None


def all_series(case: Case) -> tuple[Series, ...]:
    """Every curve that a program logged, not empty, by what it is; loss terms apart from losses."""
    found = [
        Series(name=_judged(parse(name), spec), curve=curve, spec=spec)
        for name, curve in case.curves.items()
        if len(curve) and not is_sampled(name)
        for spec in [_spec_of(case, name)]
    ]
    return tuple(_terms_apart(found))


def of_measure(case: Case, measure: Measure, side: Side | None = None) -> tuple[Series, ...]:
    """The curves of one measure (on one side), of the surest origin that has any."""
    known = {
        each.name.series: each
        for each in all_series(case)
        if each.name.measure is measure and (side is None or each.name.side is side)
    }
    return tuple(known[name] for name in surest(known))


def training_losses(case: Case) -> tuple[Series, ...]:
    """The training loss of each member; usually one."""
    return of_measure(case, Measure.LOSS, Side.TRAIN)


def evaluation_losses(case: Case) -> tuple[Series, ...]:
    """Losses on held-out examples, of every member and data set."""
    return of_measure(case, Measure.LOSS, Side.EVAL)


def eval_of(case: Case, training: Series) -> tuple[Series, ...]:
    """The evaluation losses that belong to a training loss: of the same member and group."""
    return tuple(
        each
        for each in evaluation_losses(case)
        if each.name.member == training.name.member and each.name.group == training.name.group
    )


def learning_rates(case: Case) -> tuple[Series, ...]:
    """Learning rates as logged."""
    return of_measure(case, Measure.LEARNING_RATE)


def gradient_norms(case: Case) -> tuple[Series, ...]:
    """Norms of the whole gradient."""
    return of_measure(case, Measure.GRADIENT_NORM)


def scores(case: Case) -> tuple[Series, ...]:
    """Accuracies on held-out examples: shares of pixels, tokens or answers that are right."""
    parts = of_measure(case, Measure.ACCURACY, Side.EVAL)
    return parts + of_measure(case, Measure.EXACT, Side.EVAL)


def recalls(case: Case) -> tuple[Series, ...]:
    """Recall of each class on held-out examples; the class is the name's `part`."""
    return of_measure(case, Measure.RECALL, Side.EVAL)


def class_counts(case: Case) -> tuple[Series, ...]:
    """How many examples of each class an evaluation had; the class is the name's `part`."""
    return of_measure(case, Measure.COUNT, Side.EVAL)


def is_loss_progress(case: Case) -> bool:
    """Whether a falling loss means progress: not where rewards or two models' losses are logged."""
    words = {word for each in all_series(case) for word in _path(each.name.series)}
    return not words & RIVALRY


def newest(curve: Curve) -> Sequence[int]:
    """Places of the points that hold: without those that a later segment took back."""
    steps = curve.steps
    if sorted(steps) == list(steps):  # nearly always, and quickly told
        return range(len(steps))
    kept = [len(steps) - 1]
    for place in range(len(steps) - 2, -1, -1):
        bound = steps[kept[-1]]
        again = steps[place] == bound and kept[-1] == place + 1  # logged twice, not taken back
        if steps[place] < bound or again:
            kept.append(place)
    return tuple(reversed(kept))


def last_at(curve: Curve, step: int) -> int | None:
    """The place of the newest point at or before a step; None if there is none."""
    return next((at for at in reversed(newest(curve)) if curve.steps[at] <= step), None)


@lru_cache(maxsize=4096)
def parse(series: str) -> Name:
    """A series' name taken apart, by the tables above."""
    words = _path(series)
    member, side_word, rest = _sides(words)
    measure, group, part = _measured(rest)
    if FOREIGN & {*member, *rest, (rest or [""])[-1].partition("_")[0]}:
        measure = Measure.CHANCE if measure is Measure.CHANCE else Measure.OTHER
    return Name(
        series=series,
        member="/".join(member),
        side=Side.EVAL if side_word in EVAL_WORDS else Side.TRAIN,
        side_word=side_word,
        group=group,
        measure=measure,
        part=part,
    )


def main_loss(names: Iterable[str]) -> str | None:
    """The training loss of a run among the names of its series; None without one."""
    losses = {
        name.series: (name.member, name.group, _loss_rank(name), name.series)
        for name in map(parse, names)
        if name.measure is Measure.LOSS and name.side is Side.TRAIN
    }
    return min(surest(losses), key=losses.__getitem__, default=None)


def newest_evaluation(times: Mapping[str, float]) -> str | None:
    """The series of an evaluation that was written to last, by the time of each series' last point.

    Of several of one evaluation the score, then the loss.
    """
    order = (Measure.EXACT, Measure.ACCURACY, Measure.LOSS, Measure.PERPLEXITY)
    ranks = {
        name.series: order.index(name.measure) if name.measure in order else len(order)
        for name in map(parse, times)
        if name.side is Side.EVAL and name.measure not in {Measure.CHANCE, Measure.COUNT}
    }
    known = surest(ranks)
    if not known:
        return None
    last = max(times[name] for name in known)
    together = [name for name in known if times[name] > last - _TOGETHER]
    return min(together, key=lambda name: (ranks[name], name))


def _path(series: str) -> list[str]:
    return [re.sub(r"[-. ]+", "_", word) for word in plain_name(series).lower().split("/") if word]


def _sides(words: list[str]) -> tuple[list[str], str, list[str]]:
    """Member, side as written, and the words of the measure."""
    sides = TRAIN_WORDS | EVAL_WORDS
    for place, word in enumerate(words[:-1]):
        if word in sides:
            return words[:place], word, words[place + 1 :]
    last = words[-1] if words else ""
    for place, word in enumerate(words):
        head, _, tail = word.partition("_")
        if head in sides and tail:
            return words[:place], head, [tail, *words[place + 1 :]]
    before, _, behind = last.rpartition("_")
    if behind in sides and before:
        return words[:-1], behind, [before]
    if last in sides:  # `loss/train`, as TensorBoard's add_scalars has it
        return words[:-2], last, words[-2:-1]
    place = _measure_at(words)
    return words[:place], "", words[place:]


def _measure_at(words: list[str]) -> int:
    """Where the measure begins in a name without a side: the first word that is one."""
    known = (n for n, word in enumerate(words) if word in _HEADS or _is_rate(word))
    place = next(known, max(0, len(words) - 1))
    return (
        place - 1
        if place and re.fullmatch(r"(class|color|label)_?\d+", words[place - 1])
        else place
    )


def _measured(words: list[str]) -> tuple[Measure, str, str]:
    """Measure, group and part of the words behind the side."""
    if not words:
        return Measure.OTHER, "", ""
    *before, last = words
    if (of_class := _class_of(before, last)) is not None:
        return of_class
    if before and before[0] in LOSS_HEADS:
        whole = last in ("total", "loss", "all")
        return (Measure.LOSS, "", "") if whole else (Measure.TERM, "", "/".join(words[1:]))
    if before and before[-1] in GRADIENT_HEADS and last in ("norm", "total_norm"):
        return Measure.GRADIENT_NORM, "/".join(before[:-1]), ""
    if before and _is_rate(before[-1]):
        return Measure.LEARNING_RATE, "/".join(before[:-1]), last
    if last in LOSS_NAMES:
        return Measure.LOSS, "/".join(before), last
    if last.endswith("_loss") or last.startswith("loss_"):
        return Measure.TERM, "/".join(before), last.removesuffix("_loss").removeprefix("loss_")
    if _is_rate(last):
        return Measure.LEARNING_RATE, "/".join(before), ""
    return _MEASURES.get(last, Measure.OTHER), "/".join(before), ""


def _class_of(before: list[str], last: str) -> tuple[Measure, str, str] | None:
    """Measure, group and class of a name that is about one class."""
    if number := _CLASS_IN_NAME.fullmatch(last):
        return Measure.RECALL, "/".join(before), number[1]
    head, number = (before or [""])[-1], _CLASS.fullmatch(last)
    if number is None:
        head, number = last, _CLASS.fullmatch(head)
    if number is None or head not in (*RECALL_HEADS, *COUNT_HEADS):
        return None
    measure = Measure.COUNT if head in COUNT_HEADS else Measure.RECALL
    return measure, "/".join(before[:-1]), number[1]


def _is_rate(word: str) -> bool:
    return word in NAMES[Measure.LEARNING_RATE] or bool(_OPTIMIZER_RATE.fullmatch(word))


def _judged(name: Name, spec: MetricSpec | None) -> Name:
    """What the record declares wins: what shall grow is no loss, what has a chance is a score."""
    if spec is None:
        return name
    measure = name.measure
    if spec.goal == "max" and measure in (Measure.LOSS, Measure.TERM, Measure.PERPLEXITY):
        measure = Measure.OTHER
    if spec.goal == "max" and spec.chance is not None and measure is Measure.OTHER:
        measure = Measure.ACCURACY
    return name if measure is name.measure else replace(name, measure=measure)


def _terms_apart(found: list[Series]) -> Iterator[Series]:
    """Of several losses of the same place the one with the surest name is the whole."""
    best: dict[tuple[str, str, str, str], int] = {}
    for each in found:
        if each.name.measure is Measure.LOSS:
            rank = _loss_rank(each.name)
            best[_place(each.name)] = min(rank, best.get(_place(each.name), rank))
    for each in found:
        name = each.name
        if name.measure is Measure.LOSS and _loss_rank(name) > best[_place(name)]:
            yield replace(each, name=replace(name, measure=Measure.TERM))
        else:
            yield each


def _loss_rank(name: Name) -> int:
    return LOSS_NAMES.index(name.part) if name.part else 0


def _place(name: Name) -> tuple[str, str, str, str]:
    return origin_of(name.series), name.member, name.side_word, name.group


def _spec_of(case: Case, series: str) -> MetricSpec | None:
    """What the record declares of a series, by name, key or alias."""
    plain = plain_name(series)
    for declared, spec in case.record.metrics.items():
        if {series, plain} & {spec.key or declared, *spec.aliases}:
            return spec
    return None
