"""Progress bars as tqdm draws them: how far, how fast, and the values behind.

train:  12%|█▏        | 120/1000 [00:10<01:13, 12.00it/s, loss=0.5]
120it [00:10, 12.00it/s, loss=0.5]
"""

import re
from dataclasses import dataclass, field

from orchestrator.store.formats.words import part_of, values_of

_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_AMOUNT = r"\d+(?:\.\d+)?[kMGT]?"
_RATE = r"(?P<rate>\d+(?:\.\d+)?|\?)\s?(?P<scale>[kMGT]?)(?P<unit>[A-Za-z_ ]*/s|s/[A-Za-z_ ]+)"
_HEAD = re.compile(r"(?P<percent>\d{1,3})%\|[^|]*\|")
_BEHIND = re.compile(
    rf"\s*(?P<count>{_AMOUNT})\w*/(?P<total>{_AMOUNT})\w*"
    rf"\s*\[\s*[\d:]+<[^,\]]*(?:,\s*{_RATE})?(?:,\s*(?P<postfix>.*?))?\]\s*"
)
_ENDLESS = re.compile(
    rf"(?P<desc>[^|\[]*?)(?P<count>{_AMOUNT})(?P<unit_of>[A-Za-z]+) "
    rf"\[\s*[\d:]+,\s*{_RATE}(?:,\s*(?P<postfix>.*?))?\]\s*"
)
_DIGITS = re.compile(r"[\d\s:/\[\]().,]+")
_STEP_UNITS = {"it", "step", "steps", "batch", "batches", "iter", "iters", "epoch", "ep"}
_ASIDE = re.compile(r"val|test|eval|sanity|predict|download|load|token|map|filter", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bar:
    """One drawing of a bar: `rate` in steps per second, `total` None where it is open.

    `key` tells bars of one log apart: the description without its numbers.
    """

    key: str
    count: int
    total: int | None
    rate: float | None
    unit: str
    values: dict[str, float] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Whether it may count steps of training, as its description and unit tell."""
        return self.unit in _STEP_UNITS and not _ASIDE.search(self.key)


def read_bar(text: str) -> Bar | None:
    """The bar that a line is; None for any other line."""
    if "%|" not in text and "[" not in text:
        return None
    head = _HEAD.search(text)
    if head is not None:
        behind, desc = _BEHIND.fullmatch(text, head.end()), text[: head.start()]
    else:
        behind = _ENDLESS.fullmatch(text)
        desc = "" if behind is None else behind["desc"]
    if behind is None:
        return None
    total = None if head is None else _amount(behind["total"])
    return Bar(
        key=_DIGITS.sub(" ", desc).strip()[:64],
        count=_amount(behind["count"]),
        total=total,
        rate=_rate(behind),
        unit=_unit(behind),
        values=values_of(behind["postfix"] or "", part_of(desc, 0, len(desc))),
    )


def _amount(text: str) -> int:
    """`120`, `1.2k`."""
    if len(text) > 18:
        return 0
    scale = text[-1].casefold() if text[-1].isalpha() else ""
    return round(float(text.rstrip("kMGT")) * _SCALES[scale])


def _unit(match: re.Match[str]) -> str:
    unit = match["unit"] or "it/s"
    return unit.removeprefix("s/").removesuffix("/s").strip().casefold()


def _rate(match: re.Match[str]) -> float | None:
    """Steps per second; `2.5s/it` is 0.4, `?it/s` is unknown."""
    if match["rate"] in {None, "?"}:
        return None
    rate = float(match["rate"]) * _SCALES[match["scale"].casefold()]
    if match["unit"].startswith("s/"):
        return 1 / rate if rate else None
    return rate
