"""One line of a log: which step and epoch it names, and which values.

Conservative: a value counts if it is called by a name and stands alone. `85/100`, `12:30:45`,
`v1.2.3`, `3e-4x` and `--lr=3e-4` are no values. `94.1%` is 0.941; a unit becomes part of the name
(`time 30ms` is `time_ms` = 30).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_NUMBER = r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_VALUE = rf"(?:{_NUMBER}|[+-]?(?i:nan|inf(?:inity)?)(?![A-Za-z]))"
_END = r"(?=$|[\s,;|)\]}'\">]|\.(?:\s|$))"
_COUNT = r"\d{1,3}(?:,\d{3})+(?!\d)|\d+"
# Behind a space only those that are no words too, as in `loss 0.5 min 0.4`.
_SPACED = r"ms|s|GB|MB|GiB|MiB|it/s|tok/s|%"
_UNIT = rf"(?:{_SPACED}|us|ns|sec|min|h|B|KB|TB|KiB|TiB|W|\s(?:{_SPACED}))"
_SPLITS = r"train|training|val|valid|validation|test|eval|evaluation|dev|best|avg|average|mean|ema"
# Names that may stand before their value without a sign between: `loss 0.5`, `val_loss 0.5`.
_SPOKEN = (
    r"\w*(?:loss|acc|accuracy|ppl|perplexity|lr|grad_norm|mfu|f1|bleu|rouge\w*|auc|reward)|time|dt"
)
# Values of these names describe the process, not what it learns.
_NOISE = {"seed", "rank", "local_rank", "world_size", "pid", "port", "version", "v_num", "line"}
_NOISE |= {"id", "eta", "gpu", "gpus", "node", "device", "cuda"}

_PAIR = re.compile(
    rf"""(?<![\w./@%$-])
    (?:(?P<split>(?i:{_SPLITS}))[ ]{{1,4}}+)?
    (?P<quote>['"]?)(?P<key>[A-Za-z][\w./@-]{{0,63}}+)(?P=quote)
    (?:\s{{0,2}}+(?P<sign>[=:])\s{{0,8}}+|\s{{1,8}}+)
    ['"]?(?P<value>{_VALUE})(?P<unit>{_UNIT})?['"]?{_END}""",
    re.VERBOSE,
)
_ALONE = re.compile(rf"(?P<value>{_VALUE})\s?(?P<percent>%)?[,;:.]?")
_SPOKEN_KEY = re.compile(_SPOKEN, re.IGNORECASE)


def _counter(names: str) -> re.Pattern[str]:
    """A word and a count: `step 100`, `Step [100/600]`, `'step': 100`, `epoch=3`, `Epoch 3/10:`."""
    return re.compile(
        rf"""(?<![\w./@%$-])(?<!per\s)['"]?(?P<word>{names})['"]?\s{{0,4}}
        (?P<sign>[=:\#])?\s{{0,4}}[\[('"]?\s{{0,4}}
        (?P<count>{_COUNT})(?P<rest>\.\d+)?(?:\s?(?:/|of\s)\s?(?P<total>{_COUNT}))?\s?[\])]?
        (?=$|[\s,;:|)\]}}'">-]|\.(?:\s|$))""",
        re.VERBOSE | re.IGNORECASE,
    )


_STEP = _counter(r"global[_\s]step|_?step|iter|iteration|batch|it(?=\s?[=:])|update(?=\s?[=:])")
_EPOCH = _counter(r"epoch")
_CONTEXTS = {"step", "_step", "global_step", "iter", "iteration", "batch", "it", "update", "epoch"}
_OTHER_RANK = re.compile(r"\[(?:rank|default)\s?0*[1-9]\d*\]", re.IGNORECASE)
# Words that may stand beside the step or the epoch in a line that announces it.
_ANNOUNCING = re.compile(
    r"(?:train|training|start|starting|begin|beginning|running|now|of|\W|_)*", re.IGNORECASE
)
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|[\x00-\x08\x0b-\x1f\x7f]"
)


@dataclass(frozen=True, slots=True)
class Count:
    """A step or epoch that a line names.

    `whole` is false for `epoch 0.35`; `inner` says that it counts within an epoch, as batches do.
    """

    count: int
    total: int | None
    whole: bool = True
    inner: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """What one line says. `heading` means that it names its place and nothing else."""

    step: Count | None = None
    epoch: Count | None = None
    values: dict[str, float] = field(default_factory=dict)
    heading: bool = False


def plain_text(line: bytes) -> str:
    """A line as text, without colours, cursor moves and other control characters."""
    text = line.decode(errors="replace")
    return text if text.isprintable() else _ESCAPES.sub("", text).strip("\r\n")


def read_line(text: str) -> Words:
    """Read one line that is no progress bar. Lines of other ranks than 0 say nothing."""
    if _OTHER_RANK.match(text):
        return Words()
    step, epoch = _STEP.search(text), _EPOCH.search(text)
    rest = text
    for match in filter(None, (step, epoch)):
        rest = rest.replace(match[0], " ", 1)
    return Words(
        step=_count(step),
        epoch=_count(epoch),
        values=dict(read_values(text)),
        heading=bool(step or epoch) and _ANNOUNCING.fullmatch(rest) is not None,
    )


def _count(match: re.Match[str] | None) -> Count | None:
    if match is None:
        return None
    count, total = read_count(match["count"]), match["total"]
    inner = match["word"].casefold() == "batch"
    if inner and total is None:
        return None  # `batch=64` is a size
    whole = float(match["rest"] or 0) == 0
    return Count(count, None if total is None else read_count(total), whole=whole, inner=inner)


def read_count(text: str) -> int:
    """`1,200` as 1200; a count of more than 18 digits is no count and becomes 0."""
    digits = text.replace(",", "")
    return int(digits) if len(digits) <= 18 else 0


def read_values(text: str) -> Iterator[tuple[str, float]]:
    """Names and values in a line, in their order; the last of a name wins."""
    for match in _PAIR.finditer(text):
        key, unit = match["key"], (match["unit"] or "").strip()
        if match["sign"] is None and not _SPOKEN_KEY.fullmatch(key):
            continue
        if key.casefold() in _CONTEXTS or key.casefold() in _NOISE:
            continue
        value = float(match["value"].replace(",", ""))
        if match["split"]:
            key = f"{match['split'].lower()}_{key}"
        if unit == "%":
            value /= 100
        elif unit:
            key = f"{key}_{unit.replace('/', '_per_')}"
        yield key, value


def read_value(text: str) -> float | None:
    """A number with or without thousands separators, a percentage, nan or inf; None for others."""
    match = _ALONE.fullmatch(text.strip())
    if match is None:
        return None
    value = float(match["value"].replace(",", ""))
    return value / 100 if match["percent"] else value
