"""One line of a log: which step and epoch it names, and which values.

Conservative: a value counts if it is called by a name and stands alone. `85/100`, `12:30:45`,
`v1.2.3`, `3e-4x` and `--lr=3e-4` are no values. `94.1%` is 0.941; a unit becomes part of the name
(`time 30ms` is `time_ms` = 30). What a line tells of evaluation is named after it: `loss` behind
`Test:` is `test_loss`. Configuration, errors and tracebacks tell no values.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_NUMBER = r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_VALUE = rf"(?:{_NUMBER}|[+-]?(?i:nan|inf(?:inity)?)(?![A-Za-z]))"
# Behind a comma no digit: `0,5` is no 0. A share of a time (`1h 3m`), or of a number (`10 M`), is
# no value either.
_END = r"""(?=$|[\s;|)\]}'">]|,(?!\d)|\.(?:\s|$))
    (?![ ](?:days?|hours?|hrs?|minutes?|mins|[KMBG]|million|billion|thousand)\b)
    (?![ ]\d+[ ]?(?:h|m|min|s|sec)\b)"""
_COUNT = r"\d{1,3}(?:,\d{3})+(?!\d)|\d+"
# Behind a space only those that are no words too, as in `loss 0.5 min 0.4`.
_SPACED = r"ms|s|GB|MB|GiB|MiB|it/s|tok/s|%"
_UNIT = rf"(?:{_SPACED}|us|ns|sec|min|h|B|KB|TB|KiB|TiB|W|\s(?:{_SPACED}))"
_EVALUATION = r"val|valid|validation|test|eval|evaluation|dev"
_PARTS = rf"train|training|{_EVALUATION}"
_SPLITS = rf"{_PARTS}|best|avg|average|mean|ema"
# Names that may stand before their value without a sign between: `loss 0.5`, `val_loss 0.5`.
_SPOKEN = (
    r"\w*(?:loss|acc|accuracy|ppl|perplexity|lr|grad_norm|mfu|f1|bleu|rouge\w*|auc|reward)|time|dt"
)
# Values of these names describe the process, not what it learns.
_NOISE = {"seed", "rank", "local_rank", "world_size", "pid", "port", "version", "v_num", "line"}
_NOISE |= {"id", "eta", "gpu", "gpus", "node", "device", "cuda"}

_PAIR = re.compile(
    rf"""(?<![\w./@%$?&-])
    (?:(?P<split>(?i:{_SPLITS}))\.?[ ]{{1,4}}+)?
    (?P<quote>['"]?)(?P<key>[A-Za-z][\w./@-]{{0,63}}+)(?P=quote)
    (?:\s{{0,2}}+(?P<sign>[=:])\s{{0,8}}+|\s{{1,8}}+)
    ['"]?(?P<value>{_VALUE})(?P<unit>{_UNIT})?['"]?{_END}""",
    re.VERBOSE,
)
_ALONE = re.compile(rf"(?P<value>{_VALUE})\s?(?P<percent>%)?[,;:.]?")
_SPOKEN_KEY = re.compile(_SPOKEN, re.IGNORECASE)
# Where a line begins to speak of training or evaluation; `test=0.5` and `train.py` do not.
_PART = re.compile(
    rf"(?<![\w./@-])(?P<part>{_PARTS})(?![\w/=-]|\.\w|\s{{0,2}}[=:]\s{{0,8}}(?:[-+.\d]|n/?a\b|none\b))",
    re.IGNORECASE,
)
_EVALUATES = re.compile(_EVALUATION, re.IGNORECASE)
# Words that say nothing alone: `learning rate: 0.1` is no `rate`.
_TAILS = {"rate", "norm", "size", "scale", "counter", "mem", "memory"}
_NAMED = re.compile(rf"(?:{_PARTS})(?![a-z])", re.IGNORECASE)
# Settings as an object prints them; what wandb repeats at the end, errors and warnings.
_SETTINGS = re.compile(r"(?:Namespace|Args|Arguments|Config|Options|Params|Settings)\(\w+=")
_NOTICE = re.compile(
    r"(?:\[\w+\]:\s*)?(?:wandb:|[\w.]*[a-z](?:Error|Exception|Interrupt|Exit|Warning)\b)"
    r"|\S+:\d+: \w*Warning:"
)


def _counter(names: str) -> re.Pattern[str]:
    """A word and a count: `step 100`, `Step [100/600]`, `'step': 100`, `epoch=3`, `Epoch 3/10:`."""
    return re.compile(
        rf"""(?<![\w./@%$?&-])(?<!per\s)['"]?(?P<word>{names})(?:\(train\))?['"]?\s{{0,12}}+
        (?P<sign>[=:\#])?\s{{0,4}}[\[('"]?\s{{0,4}}
        (?P<count>{_COUNT})(?P<rest>\.\d+)?(?:\s?(?:/|of\s)\s{{0,8}}(?P<total>{_COUNT}))?\s?[\])]?
        (?=$|[\s,;:|)\]}}'">\[-]|\.(?:\s|$))""",
        re.VERBOSE | re.IGNORECASE,
    )


_STEP = _counter(
    r"global[_\s]step|num_updates|_?step|iter|iteration|batch|it(?=\s?[=:])|update(?=\s?[=:])"
)
_EPOCH = _counter(r"epoch")
# The batch behind an epoch in brackets: `Epoch: [0][ 10/391]`. In others it may count examples.
_INNER = re.compile(r"(?<=\])\s{0,4}\[\s{0,8}(?P<count>\d+)\s?/\s{0,8}(?P<total>\d+)\]")
_CONTEXTS = {
    "num_updates",
    "step",
    "_step",
    "global_step",
    "iter",
    "iteration",
    "batch",
    "it",
    "update",
    "epoch",
}
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
    if _OTHER_RANK.match(text) or _NOTICE.match(text):
        return Words()
    if "(" in text and _SETTINGS.search(text):
        return Words()
    step, epoch = _STEP.search(text), _EPOCH.search(text)
    rest = text
    for match in filter(None, (step, epoch)):
        rest = rest.replace(match[0], " ", 1)
    inner = _INNER.match(text, epoch.end()) if epoch and not step else None
    return Words(
        step=_inner_count(inner) if inner else _count(step),
        epoch=_count(epoch),
        values=values_of(text),
        heading=bool(step or epoch) and _ANNOUNCING.fullmatch(rest) is not None,
    )


def _count(match: re.Match[str] | None) -> Count | None:
    if match is None:
        return None
    count, total = read_count(match["count"]), read_count(match["total"] or "")
    inner = match["word"].casefold() == "batch"
    if count is None or (inner and total is None):
        return None  # `batch=64` is a size
    return Count(count, total, whole=float(match["rest"] or 0) == 0, inner=inner)


def _inner_count(match: re.Match[str]) -> Count | None:
    count, total = read_count(match["count"]), read_count(match["total"])
    return None if count is None else Count(count, total, inner=True)


def read_count(text: str) -> int | None:
    """`1,200` as 1200; None for what is no count: no text, or more than 18 digits."""
    digits = text.replace(",", "")
    return int(digits) if 0 < len(digits) <= 18 else None


def values_of(text: str, part: str | None = None) -> dict[str, float]:
    """Names and values in a line; a name with two values has none.

    `part` is what the line speaks of from its beginning, as the description of a bar tells.
    """
    pairs = list(read_values(text, part))
    values = dict(pairs)
    if len(values) < len(pairs):
        for name, value in pairs:
            if name in values and repr(values[name]) != repr(value):
                del values[name]
    return values


def part_of(text: str, start: int, end: int, before: str | None = None) -> str | None:
    """The evaluation that a text speaks of last, in small letters; None if it is training."""
    for match in _PART.finditer(text, start, end):
        before = match["part"].lower() if _EVALUATES.fullmatch(match["part"]) else None
    return before


def _with_word_before(text: str, key: str) -> str:
    word = text.rstrip(" ").rpartition(" ")[2]
    return f"{word.lower()}_{key}" if text.endswith(" ") and word.isalpha() else key


def read_values(text: str, part: str | None = None) -> Iterator[tuple[str, float]]:
    """Names and values in a line, in their order."""
    at = 0
    small = text.casefold()
    evaluates = part is not None or "val" in small or "test" in small or "dev" in small
    for match in _PAIR.finditer(text):
        if evaluates:
            part = part_of(text, at, match.start("key"), part)
            at = match.end()
        key, unit = match["key"], (match["unit"] or "").strip()
        if match["sign"] is None and not _SPOKEN_KEY.fullmatch(key):
            continue
        if key.casefold() in _CONTEXTS or key.casefold() in _NOISE:
            continue
        value = float(match["value"].replace(",", ""))
        if match["split"]:
            key = f"{match['split'].lower()}_{key}"
        elif key.casefold() in _TAILS:
            key = _with_word_before(text[: match.start()], key)
        if part is not None and not _NAMED.match(key):
            key = f"{part}_{key}"
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
