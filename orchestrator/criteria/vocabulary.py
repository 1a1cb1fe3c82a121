"""Words that change what a test means: they are refused with a reason, never skipped over.

The grammar reads a metric as a run of names. A name such as "stable", "gap" or "each" makes the
line a different claim than `metric op number`, so the reading is withdrawn and a person is asked.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.criterion import Decidable, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a line is not judged by the machine, and what would make it decidable."""

    kind: Kind
    decidable: Decidable
    why: str


def words_of(text: str) -> frozenset[str]:
    """A table of words."""
    return frozenset(text.split())


_CONDITION = words_of(
    "if when unless whether otherwise depending where only except until never not none neither "
    "nor but however instead considering cannot avoid avoids avoiding prevent prevents fail fails "
    "failed failing failure rarely hardly seldom warning warnings alarm alert danger abort stop "
    "stops kill trigger triggers caution reduce restart switch unlike"
)
_RELATIVE = words_of(
    "than baseline baselines vs versus compared relative beat beats beating outperforms better "
    "worse faster slower improvement improvements improves improved reduction reduced "
    "reduces gain gains original previous old earlier matches same equal equivalent regression "
    "lower higher comparable similar"
)
_DERIVED = words_of(
    "of gap ratio overhead delta difference share fraction speedup drift change proportion odds "
    "correlation cost costs slope variation margin"
)
_TREND = words_of(
    "growing grows growth decreasing decreases decrease increasing increases increase converge "
    "converges converged convergence plateau plateaus plateaued improving climb climbs climbing "
    "drop drops dropping rise rises rising fall falls falling learns stabilizing "
    "stabilising stabilizes trend trending monotonic monotonically oscillating spikes spike "
    "diverge diverges divergence collapse collapses decays declining steadily"
)
_QUANTIFIER = words_of(
    "each every all any both per across most some seeds seed consecutive per-class per-colour "
    "per-color per-task classes folds fold members ensemble runs trials independent"
)
_WINDOW = words_of(
    "averaged smoothed rolling moving median percentile quantile p50 p90 p95 p99 std stddev "
    "variance window ema cumulative total overall peak max min maximum minimum average"
)
_ANCHOR = words_of(
    "ep epoch epochs iteration iterations episode episodes after before within until during first "
    "last initial early late through throughout midway halfway start end day days hour hours "
    "minute minutes week step steps from since while"
)
_VAGUE = words_of(
    "stable stably smooth smoothly balanced reasonable reasonably good well great acceptable "
    "healthy obvious clean cleanly properly proper correct correctly fast slow real-time "
    "realtime significant significantly slightly high low strong robust meaningful consistent "
    "consistently effective effectively effectiveness sufficient sufficiently enough adequate "
    "decent competitive satisfactory nice poor bad small large minimal normal expected "
    "realistic plausible sensible quickly gradually rapidly roughly nearly almost mostly likely "
    "possible perceptually visually approximately somewhat appropriate maybe perhaps "
    "ideally preferably hopefully try prove aim"
)
_AUTHENTICITY = words_of("real genuine authentic reproducible")
_MEMORY = words_of("memory vram ram mem")
_TIME = words_of("latency time duration runtime wall-clock walltime inference")
_STATISTICS = words_of("p50 p90 p95 p99 median mean max maximum average avg total")
# What such a phrase names is "the number", not which number.
_UNNAMED = words_of(
    "target goal result results metric metrics performance value values score scores number "
    "numbers quality model training evaluation available it this that they everything size run "
    "job test tests validation eval train final best expected minimum maximum threshold output "
    "outputs data status stage phase gate requirement requirements criterion criteria resources "
    "process processes gpu gpus curve curves progress level levels rate count speed"
)

_CUES: tuple[tuple[frozenset[str], Kind, Decidable, str], ...] = (
    (
        _CONDITION,
        Kind.MANUAL,
        Decidable.MANUAL,
        "{word!r} makes the line a rule or a condition; state the test alone",
    ),
    (
        _RELATIVE,
        Kind.RELATIVE_TO_BASELINE,
        Decidable.DECLARE,
        "{word!r} compares with something; name the baseline run and points or percent",
    ),
    (
        _DERIVED,
        Kind.COMPARISON,
        Decidable.DECLARE,
        "{word!r} is derived from other metrics; log it or name the series that holds it",
    ),
    (
        _TREND,
        Kind.TREND,
        Decidable.DECLARE,
        "{word!r} is a trend; name a window and a bound, such as `loss < 2 by step 2000`",
    ),
    (
        _QUANTIFIER,
        Kind.PER_CLASS,
        Decidable.DECLARE,
        "{word!r} ranges over several series; write one criterion for each of them",
    ),
    (
        _WINDOW,
        Kind.THRESHOLD,
        Decidable.DECLARE,
        "{word!r} is a statistic over many points; log it as a series of its own",
    ),
    (
        _ANCHOR,
        Kind.THRESHOLD,
        Decidable.DECLARE,
        "{word!r} places the test in time; only `by step N` is judged so far",
    ),
    (
        _AUTHENTICITY,
        Kind.MANUAL,
        Decidable.MANUAL,
        "{word!r} claims where something came from; a file or number alone proves nothing",
    ),
    (
        _VAGUE,
        Kind.MANUAL,
        Decidable.MANUAL,
        "{word!r} has no measure; name a metric and a bound, such as `eval/loss < 2`",
    ),
)


def refusal_in(words: Iterable[str]) -> Refusal | None:
    """The first reason why a phrase with these words is no plain metric name, or None."""
    found = [word.casefold() for word in words]
    for cues, kind, decidable, why in _CUES:
        for word in found:
            if word in cues:
                return Refusal(kind=kind, decidable=decidable, why=why.format(word=word))
    return None


def is_vague(word: str) -> bool:
    """Whether a word is an adjective or adverb without a measure."""
    return word.casefold() in _VAGUE


def refusal_of_metric(phrase: str, unit: str | None) -> Refusal | None:
    """Why a metric phrase is not definite enough to be measured, or None.

    A single name with `/`, `_` or `@` in it is taken as somebody's exact key.
    """
    words = phrase.casefold().split()
    exact = len(words) == 1 and re.search(r"[/_@]", phrase) is not None
    if exact:
        return None
    if refusal := refusal_in(words):
        return refusal
    if words[:2] == ["exit", "code"]:
        return Refusal(
            kind=Kind.COMMAND_PASSES, decidable=Decidable.ASK, why="exit code of which command?"
        )
    if _MEMORY & set(words):
        return _ask("memory of the GPU or of the host, peak or current? Name the logged key")
    timed = _TIME & set(words) or unit in {"ms", "s", "min", "h", "days"}
    if timed and not _STATISTICS & set(words):
        return _ask("is it the mean, the median or a percentile of that time? Name the logged key")
    if unit in {"x", "steps"}:
        return _ask(f"a bound in {unit!r} needs the series or the baseline that it counts")
    rate = unit is not None and "/" in unit and {"speed", "rate"} & set(words)
    if set(words) <= _UNNAMED and not rate:
        return _ask("no metric is named; name one, such as `eval/loss < 2`")
    return None


def _ask(why: str) -> Refusal:
    return Refusal(kind=Kind.THRESHOLD, decidable=Decidable.ASK, why=why)


_LOWER = words_of(
    "loss perplexity ppl fid wer cer latency error errors mae mse rmse nll ece kl time far frr "
    "eer mape bpb bpc overfitting"
)
_HIGHER = words_of(
    "accuracy acc precision recall f1 auc auroc bleu rouge reward return map ndcg mrr psnr ssim "
    "iou dice throughput win success coverage silhouette"
)


_OTHERS = words_of("lr rate entropy norm kl likelihood score bpd")


def is_metric_like(phrase: str) -> bool:
    """Whether a phrase names a measurement by its form (`pass@1`, `eval/x`) or a known word."""
    if re.fullmatch(r"\S*[/_@]\S*", phrase):
        return True
    return bool(set(phrase.casefold().split()) & (_LOWER | _HIGHER | _OTHERS))


def direction_of(name: str) -> str | None:
    """`min` or `max` where a metric's name says which way is better; None otherwise."""
    tokens = set(re.split(r"[^\w@]+|_", name.casefold()))
    lower = bool(tokens & _LOWER)
    higher = bool(tokens & _HIGHER) or any(token.startswith("pass@") for token in tokens)
    if lower == higher:
        return None
    return "min" if lower else "max"


_GUESSES: tuple[tuple[str, Kind], ...] = (
    (r"[<>≤≥]{1,2}=?\s*[^\W\d_]", Kind.COMPARISON),
    (r"`[^`]+`\s+pass|\bprints?\b|\bshows?\s+\"|exit code|returns true|loads?\b|tests? pass",
     Kind.COMMAND_PASSES),
    (r"\b(hours?|days?|minutes?)\b", Kind.DURATION),
    (r"\b(exists?|created|saved|written|uploaded)\b|`[^`]+\.\w+`", Kind.ARTIFACT_EXISTS),
    (r"\b(no|zero|without)\b", Kind.EVENT_ABSENCE),
    (r"\b(reports?|logged|triggered|deleted|launched|released)\b", Kind.EVENT_PRESENCE),
    (r"\d\s*%?\s*[-\u2013]\s*\d", Kind.RANGE),
    (r"[<>≤≥]|\b(above|below|over|under|at least|at most)\b\s*\d", Kind.THRESHOLD),
    (r"\d[\d,.]*[kM]?\s+(steps|epochs|episodes|iterations|runs)", Kind.COUNT_OR_PROGRESS),
)  # fmt: skip


def unread(text: str) -> Refusal:
    """The reason for a line that no rule reads, with the likeliest kind."""
    words = re.findall(r"[^\W\d_][\w-]*", text)
    if refusal := refusal_in(words):
        return refusal
    for pattern, kind in _GUESSES:
        if re.search(pattern, text, re.IGNORECASE):
            return Refusal(
                kind=kind,
                decidable=Decidable.ASK,
                why="the machine does not read this wording; write it as a predicate, "
                "such as `<!-- exp: eval/loss < 2 -->`",
            )
    return Refusal(
        kind=Kind.MANUAL,
        decidable=Decidable.MANUAL,
        why="nothing measurable is named; a person decides",
    )
