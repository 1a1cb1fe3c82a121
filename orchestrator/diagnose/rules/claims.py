"""What people and programs say of a run, against what was measured.

Silent where they may mean something else: lines that speak of targets, plans or other people's
numbers are no claims.
"""

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.clock import format_duration
from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.series import newest
from orchestrator.diagnose.settings import accumulation
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.series import plain_name, surest

_FEWEST = 10  # samples of which a mean is told
_PLANNED = re.compile(
    r"[<>≥≤]|\b(?:target|goal|expect\w*|should|want|plan\w*|need\w*|at least|at most|baseline|paper"
    r"|published|previous\w*|before|originally|threshold|todo|if|will|would|estimate\w*|eta)\b"
    r"|^\s*[-*]?\s*\[ \]",
    re.IGNORECASE,
)
_SPEED = re.compile(
    r"(?P<low>\d+(?:\.\d+)?)(?:\s*[-\u2013\u2014]\s*(?P<high>\d+(?:\.\d+)?))?\s*"
    r"(?:it|its|iters?|iterations|steps?)\s?(?:/|per )\s?s(?:ec(?:ond)?)?\b",
    re.IGNORECASE,
)
_NO_TRAINING = re.compile(
    r"\b(?:eval\w*|valid\w*|inference|test\w*|sampl\w*|decod\w*)\b", re.IGNORECASE
)
# tqdm: `20%|█▉  | 10361/51905 [1:42:10<6:41:48, 1.72it/s]`
_BAR = re.compile(r"(?P<done>\d+)/(?P<total>\d+) \[")
_HARDWARE = re.compile(r"^\W*(?:gpus?|hardware|device|accelerators?|card)\b\W*:", re.IGNORECASE)
_MODEL = re.compile(
    r"\b(?:(?:RTX|GTX|Quadro|Tesla|GeForce|TITAN)\s+(?:RTX\s+)?\w*\d\w*|[ABHLPTV]\d{1,3}\w?|GB?H?200)"
    r"(?:\s+(?:SUPER|Ti|Laptop|Max-Q))*(?![\w.])",
    re.IGNORECASE,
)
_QUALIFIERS = ("super", "ti", "laptop")
_UTILIZATION = re.compile(r"(?P<n>\d+(?:\.\d+)?)\s?%\s+(?:GPU\s+)?utili[sz]ation", re.IGNORECASE)
_REACHED = re.compile(
    r"\b(?:completed|reached|finished|trained(?: for)?|steps completed)\b[^\d\n]{0,20}"
    r"(?:\d+(?:\.\d+)?\s?%\s*\(?)?(?P<n>\d[\d,]*)\s*(?:optimi[sz]er )?steps?\b",
    re.IGNORECASE,
)
_SCORE = re.compile(r"(?P<name>[A-Za-z][\w@/-]*)\W{0,4}\s*[=:]\s*\W{0,4}(?P<n>\d+(?:\.\d+)?)\s?%")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """The fastest that logged steps ever went, a second; between which points."""

    rate: float
    steps: int
    seconds: float
    quotes: tuple[Quote, ...]


def speed_counts_skipped(case: Case) -> Iterator[Finding]:
    """A speed that was told, and that logged steps never reached."""
    speeds = (*_told_speeds(case), *_bar_speeds(case))
    pace = _pace(case) if speeds else None
    if pace is None:
        return
    batches = accumulation(case)
    for quote, text, told in speeds:
        ratio = told / (pace.rate * batches)
        if ratio <= case.thresholds.speed:
            continue
        by = f"({pace.rate:.3g} × {batches} micro-batches)" if batches > 1 else f"{pace.rate:.3g}"
        yield Finding(
            id="speed-counts-skipped",
            severity=Severity.WARN,
            title=f"{text} is told, the fastest ever logged is {pace.rate:.3g} steps a second",
            evidence=(quote, *pace.quotes),
            arithmetic=f"{pace.steps:,} steps in {format_duration(pace.seconds)} ="
            f" {pace.rate:.3g} it/s; {told:g} ÷ {by} = {ratio:.1f}",
            meaning="What is told counts something else than steps of training: batches that were"
            " skipped after a resume, or samples. Any ETA made of it is wrong.",
            action="count from the first step after the resume; take speed and ETA from exp status",
        )
        return


def contradiction(case: Case) -> Iterator[Finding]:
    """Facts in notes that the records contradict: hardware, utilization, steps, scores."""
    for quote in case.reported:
        if _HARDWARE.search(quote.text):
            yield from _other_gpu(case, quote)
        if _PLANNED.search(quote.text):
            continue
        yield from _other_utilization(case, quote)
        yield from _other_steps(case, quote)
        yield from _other_score(case, quote)


def _pace(case: Case) -> _Pace | None:
    """The fastest pace of any series; over several points where they are dense."""
    names = surest(name for name in case.curves if not is_sampled(name) and case.curves[name].steps)
    paces = [pace for name in names if (pace := _fastest(case.curves[name])) is not None]
    return max(paces, key=lambda pace: pace.rate, default=None)


def _fastest(curve: Curve) -> _Pace | None:
    if is_sampled(curve.name):
        return None
    places = newest(curve)
    width = min(10, max(1, len(places) // 4))
    found = None
    for first, last in zip(places, places[width:], strict=False):
        steps = curve.steps[last] - curve.steps[first]
        seconds = curve.times[last] - curve.times[first]
        if steps > 0 and seconds > 0 and (found is None or steps / seconds > found.rate):
            quotes = (curve.quote(first), curve.quote(last))
            found = _Pace(rate=steps / seconds, steps=steps, seconds=seconds, quotes=quotes)
    return found


def _told_speeds(case: Case) -> Iterator[tuple[Quote, str, float]]:
    """Speeds of training in notes: the line, the words, the least that they mean."""
    for quote in case.reported:
        told = _SPEED.search(quote.text)
        if told and not _PLANNED.search(quote.text) and not _NO_TRAINING.search(quote.text):
            yield quote, told[0], float(told["low"])


def _bar_speeds(case: Case) -> Iterator[tuple[Quote, str, float]]:
    """Speeds of the progress bars of training: those that go to the planned step."""
    found, planned = case.hits.get("speed"), case.record.planned_steps
    for hit in found.shown if found and planned else ():
        bar, told = _BAR.search(hit.text), _SPEED.search(hit.text)
        if bar and told and int(bar["total"]) in (planned, (planned or 0) * accumulation(case)):
            yield hit.quote, told[0], float(told["low"])


def _other_gpu(case: Case, quote: Quote) -> Iterator[Finding]:
    """A model of GPU that the driver does not know of."""
    told, names = _MODEL.search(quote.text), _gpu_names(case)
    if told is None or not names or any(_same_model(told[0], name) for name, _ in names):
        return
    name, source = names[0]
    yield _against(
        quote,
        source,
        subject="gpu",
        title=f'"{told[0]}" is told, the driver says {name}',
        arithmetic=f"{told[0]} ≠ {name}",
    )


def _gpu_names(case: Case) -> list[tuple[str, Quote]]:
    """Names of the run's GPUs by its own telemetry, else of this machine's."""
    found = []
    for event in case.events:
        if event.name == "gpu" and isinstance(name := event.data.get("name"), str):
            total = event.data.get("memory_total")
            size = f", {total / 2**30:.2f} GiB" if isinstance(total, int) else ""
            text = f"NVML: {name}{size}"
            found.append((name, Quote(source=event.at.source, line=event.at.line, text=text)))
    return found


def _same_model(told: str, name: str) -> bool:
    """Whether both name the same model: its number, and SUPER, Ti or Laptop as told."""
    told_words, words = (_model_words(each) for each in (told, name))
    numbers = [word for word in told_words if any(map(str.isdigit, word))]
    extra = set(_QUALIFIERS)
    return all(number in words for number in numbers) and (
        set(told_words) & extra == set(words) & extra
    )


def _model_words(text: str) -> list[str]:
    return re.findall(
        r"[a-z]+(?=[^a-z0-9]|$)|[a-z]*\d+[a-z]*?(?=ti\b|[^a-z0-9]|$)|ti\b", text.lower()
    )


def _other_utilization(case: Case, quote: Quote) -> Iterator[Finding]:
    told = _UTILIZATION.search(quote.text)
    curves = [c for name, c in case.curves.items() if _is_utilization(name) and len(c) >= _FEWEST]
    if told is None or not curves:
        return
    curve = max(curves, key=lambda each: statistics.fmean(each.values))
    mean = statistics.fmean(curve.values)
    if float(told["n"]) / 100 <= mean * case.thresholds.speed:
        return
    yield _against(
        quote,
        curve.quote(len(curve) - 1),
        subject="gpu-utilization",
        title=f"{told['n']}% utilization is told, {mean:.0%} is the mean that was measured",
        arithmetic=f"mean of {len(curve):,} samples of {curve.name} = {mean:.1%}",
    )


def _is_utilization(name: str) -> bool:
    return is_sampled(name) and name.endswith(".utilization")


def _other_steps(case: Case, quote: Quote) -> Iterator[Finding]:
    """More steps than were ever logged, in steps or micro-batches."""
    told, last = _REACHED.search(quote.text), case.max_step
    if told is None or last is None:
        return
    steps = int(told["n"].replace(",", ""))
    most = last * accumulation(case)
    curve = next(c for c in case.curves.values() if c.steps and max(c.steps) == last)
    if steps <= most * 1.05:  # what was logged every so many steps is a little behind
        return
    yield _against(
        quote,
        curve.quote(curve.steps.index(last)),
        subject="steps",
        title=f"{steps:,} steps are told, {last:,} is the last one that was logged",
        arithmetic=f"{steps:,} ÷ {most:,} = {steps / most:.2f}",
    )


def _other_score(case: Case, quote: Quote) -> Iterator[Finding]:
    """A score in percent beyond everything that was logged under that name."""
    for told in _SCORE.finditer(quote.text):
        curves = [c for c in case.curves.values() if c.values and _means(told["name"], c.name)]
        value, tolerance = float(told["n"]), _rounding(told["n"])
        if not curves or any(_within(c.values, value, tolerance) for c in curves):
            continue
        curve = curves[0]
        low, high = min(curve.values), max(curve.values)
        yield _against(
            quote,
            curve.quote(len(curve) - 1),
            subject=curve.name,
            title=f"{told[0]} is told, {curve.name} was {low:.4g} to {high:.4g}",
            arithmetic=f"{value:g}% is not within {low:.4g} to {high:.4g} ({curve.total:,} points)",
        )


def _means(told: str, series: str) -> bool:
    words = plain_name(series).lower().split("/")
    return told.lower() in (words[-1], "/".join(words))


def _rounding(text: str) -> float:
    """How far a number may be off that was rounded to its digits."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def _within(values: Sequence[float], percent: float, tolerance: float) -> bool:
    """Whether a percentage lies between the least and the most, as a share or in percent."""
    low, high = min(values), max(values)
    return any(low * s - tolerance <= percent <= high * s + tolerance for s in (1, 100))


def _against(
    claim: Quote, measured: Quote, *, subject: str, title: str, arithmetic: str
) -> Finding:
    return Finding(
        id="contradiction",
        subject=subject,
        severity=Severity.WARN,
        title=title,
        evidence=(claim, measured),
        arithmetic=arithmetic,
        meaning="The notes and the records cannot both be right; what was measured counts.",
        action="correct the notes; exp gpu, exp run show and exp ticket check have measurements",
    )
