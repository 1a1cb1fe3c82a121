"""What the numbers of a run are made of: classes, terms of a loss, training beside evaluation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.parts import losses, parts_of, shares
from orchestrator.diagnose.series import (
    EVAL_WORDS,
    RECALL_HEADS,
    Measure,
    Name,
    Series,
    Side,
    all_series,
    last_at,
    newest,
    parse,
)
from orchestrator.diagnose.settings import weights
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.run import RunRecord
from orchestrator.domain.series import origin_of, surest
from orchestrator.report.changes import Since
from orchestrator.report.parts import ClassRow, ClassTable, ComponentRow, Components, Gap
from orchestrator.store import Reader
from orchestrator.watch.casebook import curve_of
from orchestrator.watch.reporting.subject import Subject

_NEWEST = 500  # points of a series that are looked at
_MOST = 150  # series: classes, terms and losses; thousands are not taken apart
_RESIDUE = 0.005  # share of a total that rounding may leave
_WHOLE = frozenset({"mean", "avg", "average", "all", "overall", "macro", "micro", "total"})
_PAIRED = frozenset({Measure.LOSS, Measure.PERPLEXITY, Measure.ACCURACY, Measure.EXACT})
_LOOKED_AT = _PAIRED | {Measure.TERM, Measure.RECALL, Measure.COUNT, Measure.CHANCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Tables of one run."""

    classes: tuple[ClassTable, ...] = ()
    components: tuple[Components, ...] = ()
    gaps: tuple[Gap, ...] = ()


def parts_in(subject: Subject, since: Since | None) -> Parts:
    """Class tables, terms of losses, and gaps between training and evaluation."""
    case = _case(subject.reader, subject.record, subject.moment)
    series = all_series(case)
    before: dict[str, Components] = {}
    earlier = next((ran for ran in subject.others if since and ran.id == since.run), None)
    components = tuple(_components(case, series))
    classes = tuple(_class_tables(series))
    if earlier is not None and since is not None:
        then = _case(subject.reader, earlier.record, since.time)
        known = all_series(then)
        before = {each.loss: each for each in _components(then, known)} if components else {}
        # Until this run is evaluated, what was wrong before is what is to be better now.
        classes = classes or tuple(replace(t, run=earlier.id) for t in _class_tables(known))
    return Parts(
        classes=classes,
        components=tuple(_with_before(each, before.get(each.loss)) for each in components),
        gaps=tuple(_gaps(series)),
    )


def _case(reader: Reader, record: RunRecord, now: float) -> Case:
    """The run as the rules of findings see it, of its newest points.

    With the series that may be of a class, a loss or one of its terms: where weights of terms are
    told, any name may be one.
    """
    bare = Case(record=record, now=now, events=reader.events(record.id, "config"))
    named = bool(weights(bare))
    names = [
        name
        for name in surest(n for n in reader.series(record.id) if not is_sampled(n))
        if (read := parse(name)).measure in _LOOKED_AT
        or (read.measure is Measure.OTHER and (named or _class_of(read)))
    ]
    names.sort(key=lambda name: parse(name).measure is Measure.OTHER)  # these are left out first
    curves = {
        name: curve_of(reader, record.id, name, newest=_NEWEST, older=0) for name in names[:_MOST]
    }
    return replace(bare, curves=curves)


# Classes


def _class_tables(series: Sequence[Series]) -> Iterator[ClassTable]:
    """A table for each family with at least two classes."""
    families: dict[tuple[str, ...], dict[str, Series]] = {}
    for each in series:
        read = _class_of(each.name)
        if read is not None:
            key, name = read
            families.setdefault(key, {})[name] = each
    for members in families.values():
        table = _class_table(members, series) if len(members) > 1 else None
        if table is not None:
            yield table


def _class_of(name: Name) -> tuple[tuple[str, ...], str] | None:
    """The family of a metric of one class, and the class; None of every other metric.

    Beside numbers (`recall/3`) words count where they follow a measure (`accuracy/cat`).
    """
    place = (origin_of(name.series), name.member, name.side_word)
    if name.measure is Measure.RECALL:
        return (*place, name.group, _family(name)), name.part
    *group, head = name.group.split("/")
    word = name.series.rpartition("/")[2]
    if name.measure is not Measure.OTHER or head not in RECALL_HEADS or word.lower() in _WHOLE:
        return None
    return (*place, "/".join(group), _family(name)), word


def _family(name: Name) -> str:
    """The series' name with a star for the class: `eval/recall/*`."""
    head, _, last = name.series.rpartition("/")
    if name.part and last.endswith(name.part) and last != name.part:
        return f"{head}/{last.removesuffix(name.part)}*".lstrip("/")
    if name.part and last != name.part:  # `class_3/recall`
        above, _, middle = head.rpartition("/")
        return f"{above}/{middle.removesuffix(name.part)}*/{last}".lstrip("/")
    return f"{head}/*"


def _class_table(members: Mapping[str, Series], series: Sequence[Series]) -> ClassTable | None:
    first = next(iter(members.values()))
    curves = [each.curve for each in members.values()]
    common = set.intersection(*({curve.steps[at] for at in newest(curve)} for curve in curves))
    if not common:
        return None
    step = max(common)
    values = {name: _value(each, step) for name, each in members.items()}
    scale = first.spec.scale if first.spec is not None else 1.0
    known = {name: value / scale for name, value in values.items() if value is not None}
    counts = _counts(first.name, series, step)
    return ClassTable(
        family=_family(first.name),
        step=step,
        rows=tuple(
            ClassRow(name=name, value=known[name], count=counts.get(name))
            for name in sorted(known, key=_by_number)
        ),
        overall=_beside(first, series, (Measure.ACCURACY,), step),
        constant=max(counts.values()) / math.fsum(counts.values())
        if set(counts) >= set(known) and math.fsum(counts.values()) > 0
        else _beside(first, series, (Measure.CHANCE,), step),
        percent=all(0 <= value <= 1 for value in known.values()),
    )


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (1 << 62, name)


def _value(each: Series, step: int) -> float | None:
    """The newest value at a step."""
    at = last_at(each.curve, step)
    return None if at is None or each.curve.steps[at] != step else each.curve.values[at]


def _counts(name: Name, series: Sequence[Series], step: int) -> dict[str, float]:
    """Examples of each class, of the same evaluation."""
    found = {
        each.name.part: _value(each, step)
        for each in series
        if each.name.measure is Measure.COUNT and _same_place(each.name, name)
    }
    return {part: value for part, value in found.items() if value is not None and value >= 0}


def _beside(
    first: Series, series: Sequence[Series], measures: tuple[Measure, ...], step: int
) -> float | None:
    """A share that was measured beside the classes at the same step, such as the whole accuracy."""
    for each in series:
        if each.name.measure in measures and _same_place(each.name, first.name):
            value = _value(each, step)
            if value is not None:
                return value / (each.spec.scale if each.spec is not None else 1.0)
    return None


def _same_place(one: Name, other: Name) -> bool:
    return (origin_of(one.series), one.member, one.side_word) == (
        origin_of(other.series),
        other.member,
        other.side_word,
    )


# Terms of a loss


def _components(case: Case, series: Sequence[Series]) -> Iterator[Components]:
    """Every loss that has terms beside it, as they stand at the newest step of all."""
    for loss, told in losses(case, series):
        found = parts_of(loss, told, series)
        if not found:
            continue
        newest_parts, asked = found[-1], shares(told)
        total = newest_parts.total
        rest = total - newest_parts.named
        yield Components(
            loss=loss.name.series,
            step=newest_parts.step,
            total=total,
            rows=tuple(
                ComponentRow(name=term, value=value, share=value / total, declared=asked.get(term))
                for term, value in newest_parts.terms.items()
            ),
            unnamed=rest if rest > _RESIDUE * total else None,
        )


def _with_before(now: Components, then: Components | None) -> Components:
    if then is None:
        return now
    values = {row.name: row.value for row in then.rows}
    return replace(now, rows=tuple(replace(row, before=values.get(row.name)) for row in now.rows))


# Training beside evaluation


def _gaps(series: Sequence[Series]) -> Iterator[Gap]:
    """The same metric of both sides, where both were logged."""
    whole = [each for each in series if each.name.measure in _PAIRED]
    trained = {_pair(each.name): each for each in whole if each.name.side is Side.TRAIN}
    evaluated = [each for each in whole if each.name.side is Side.EVAL]
    for each in evaluated:
        train = trained.get(_pair(each.name))
        if train is None:
            continue
        at, place = newest(each.curve)[-1], newest(train.curve)[-1]
        yield Gap(
            metric=_plain(each.name, evaluated),
            train=train.curve.values[place],
            evaluation=each.curve.values[at],
            train_step=train.curve.steps[place],
            step=each.curve.steps[at],
        )


def _pair(name: Name) -> tuple[str, ...]:
    return origin_of(name.series), name.member, name.group, name.measure, name.part


def _plain(name: Name, evaluated: Sequence[Series]) -> str:
    """The metric without its side, which is named where there are several: `loss (ood)`."""
    words = [word for word in name.series.split("/") if word.lower() not in EVAL_WORDS]
    plain = "/".join(words).removeprefix(origin_of(name.series))
    several = sum(_pair(each.name) == _pair(name) for each in evaluated) > 1
    return f"{plain} ({name.side_word})" if several else plain
