"""The kinds of signs: how a line of each looks. docs/findings.md has a row for each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.diagnose.causes.signs import CUDA_OOM, GPU_LOST, NCCL


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A kind of line.

    `words` are lowercase letters alone, with nothing between them: a line that matches `pattern`
    holds one of them once everything that is no letter is gone. `without` is taken out of a line
    before it is looked at: what reads alike and means nothing. `more` lines behind belong to it.
    `probes` are for words that many lines hold: each finds, in lowercase bytes, all lines that
    match by that word, and begins with a literal, which makes it fast. Of a `flood` (a progress bar
    has a line for each step) those alone are read that are kept; the others count by their words.
    """

    pattern: re.Pattern[str]
    words: tuple[str, ...] = ()
    without: re.Pattern[str] | None = None
    more: int = 0
    flood: bool = False
    probes: Mapping[str, re.Pattern[bytes]] = field(default_factory=dict)

    def means(self, line: str) -> bool:
        """Whether a line (without escape sequences) is of this kind."""
        said = self.without.sub(" ", line) if self.without else line
        return self.pattern.search(said) is not None


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


def _loose(*patterns: str) -> re.Pattern[str]:
    """The same in capitals or not."""
    return re.compile("|".join(patterns), re.IGNORECASE)


_BAD = r"[+-]?(?:nan|inf(?:inity)?)"
_ZERO = r"0(?:\.0*)?(?:e[+-]?0+)?(?![\w.])"
_RATE = r"(?:/\w+|\[\d\])?[^\w\n]{0,6}"
_OF = r"(?:batch(?:es)?|samples?|examples?|steps?|sequences?|micro-?batch(?:es)?)"
# it/s, samples/s, s/it and the like, as letters.
_SPEEDS = (
    *("its", "iters", "iterations", "step", "batch", "sample", "example"),
    *("sit", "secit", "siter", "seciter"),
)
_UNITS = (
    *("it", "its", "iter", "iters", "iteration", "iterations", "step", "steps", "batch", "batches"),
    *("sample", "samples", "example", "examples"),
)


def _behind(*ends: str) -> str:
    """That one of these stands before; a pattern that begins with what is behind it is fast."""
    return "(?:" + "|".join(f"(?<={end})" for end in ends) + ")"


_A_SECOND = _behind(*(rf"\d{gap}{unit}/" for gap in ("", " ") for unit in _UNITS))
_EACH = _behind(*(rf"\d{gap}{second}/" for gap in ("", " ") for second in ("s", "sec")))
_PER = _behind(*(f"{unit}{gap}per" for gap in "_ " for unit in _UNITS))

SIGNS: dict[str, Sign] = {
    "cuda_oom": Sign(
        words=("outofmemory", "memoryallocation", "allocfailed", "oomondevice"),
        pattern=_any(*CUDA_OOM),
        without=_loose(
            r"^\W*(?:except|raise|if|elif|with|assert)\b.*",
            r"\b(?:avoid|prevent|against|in case of)\s+(?:an? )?(?:\w+ )?out[- ]of[- ]memory",
        ),
        more=8,
    ),
    "host_oom_word": Sign(
        words=(
            *("oomkill", "oomreaper", "outofmemory", "allocatememory", "enoughmemory"),
            *("badalloc", "memoryerror"),
        ),
        pattern=_any(
            r"(?i:\boom[-_ ]?kill)",
            r"[Oo]ut of memory: Kill",
            r"[Mm]emory cgroup out of memory",
            r"\boom_reaper\b",
            r"DefaultCPUAllocator: (?:can't allocate|not enough) memory",
            r"\bstd::bad_alloc\b",
            r"\bMemoryError\b",
            r"Cannot allocate memory",
        ),
        without=_any(r"(?i:oom[-_ ]?kill\w*[\"']?\s*[:=]?\s*\+?0\b)"),
        more=2,
    ),
    "nan": Sign(
        words=("nonfinite",),
        pattern=_loose(
            rf"[=:]\s*[\"'\[(]?{_BAD}\b",
            r"\b(?:loss|grad\w*|norm|ppl|perplexity|acc\w*|lr)\s+(?:is |was |became |of )?"
            rf"{_BAD}\b",
            r"\bnon-?finite\b",
            r"\b(?:nan|inf)s?\b.{0,40}\b(?:detected|found|encountered|produced|loss|grad\w*|in)\b",
            r"\b(?:detected|found|encountered|contains?|got|produced|returned|is|are|became)\s+"
            r"(?:an?\s+|some\s+|\d+\s+)?(?:nan|inf)s?\b",
        ),
        without=_loose(
            r"\b(?:no|not|without|zero|0|never|if|whether|for|on|ignor\w+|avoid)\s+(?:any\s+)?"
            r"(?:nan|inf|non-?finite)\w*(?:\s+(?:loss|gradient|value)\w*)?(?:\s+detect\w*)?",
            # What a best value begins with.
            r"\b(?:best|min|max|lowest|highest|prev|patience|limit|timeout|from)[\w ./-]{0,40}"
            rf"[\"']?\s*[=:]?\s*{_BAD}\b",
            r"\b(?:nan|inf|non-?finite)s?(?:[ _-](?:count|values?|steps?|batches|grads?|losses))?"
            r"[\"']?\s*[:=]\s*(?:0+(?:\.0+)?(?![\d.])|false|none)",
            r"\b\w*_(?:nan|inf)\w*|\bnan_?\w*(?:mean|sum|num|policy|check)\b",
        ),
        probes={
            "nan": re.compile(rb"nans?(?![a-z])"),
            "inf": re.compile(rb"inf(?:s|inity)?(?![a-z_])"),
        },
    ),
    "clamp": Sign(
        words=("clamp",),
        pattern=_loose(r"\bclamp(?:ing|ed)\b"),
        without=_loose(r"\b0 (?:\w+ )?clamped\b|\bclamped\w*[\"']?\s*[:=]\s*(?:0\b|false)"),
    ),
    "scaler_skip": Sign(
        words=(
            *("overflow", "lossscale", "gradscale", "gradientscale"),
            *("skippingstep", "skippingthisstep", "skippingthestep", "skippingoptimizerstep"),
        ),
        pattern=_loose(
            r"gradient overflow",
            r"overflow!.{0,80}skip",
            r"skipping (?:this |the )?(?:optimizer )?step\b",
            r"(?:reduc|decreas|lower|halv|dropp)\w+ (?:the )?loss[ _-]?scale",
            r"loss[ _-]?scaler? .{0,80}(?:reduc|decreas|halv|too small)",
            r"grad(?:ient)?[ _-]?scaler?\b.{0,80}skip",
        ),
    ),
    "nccl": Sign(
        words=(
            *("nccl", "distbackenderror", "diststoreerror", "watchdogcaught", "processgroup"),
            *("glootransport", "connectionclosedbypeer"),
        ),
        pattern=_any(*NCCL),
        # Warnings of runs that end well, and NCCL_DEBUG=INFO.
        without=_any(r"^.*(?:\[[WI]\d{4} |\[W |\bNCCL INFO\b|\bUserWarning\b).*"),
        more=2,
    ),
    "xid": Sign(words=("xid",), pattern=_any(r"\bXid(?: \(|:? \d)")),
    "gpu_lost": Sign(
        words=(
            *("fallenoffthebus", "gpuislost", "uncorrectable", "devicesunavailable"),
            *("busyorunavailable", "nocudacapable"),
        ),
        pattern=_any(*(each for each in GPU_LOST if "Xid" not in each)),
    ),
    "killed": Sign(
        words=("killed", "sigkill", "signal", "exitcode"),
        pattern=_any(
            r"^(?:.*: line \d+:\s+\d+ |\[\w+\]: ?)?Killed\b",
            r"\bkilled by signal",
            r"\bSIGKILL\b",
            r"\bsignal 9\b",
            r"exitcode\s*: -9\b",
        ),
    ),
    "no_space": Sign(
        words=("nospaceleft", "quotaexceeded", "enospc"),
        pattern=_any("No space left on device", "Disk quota exceeded", r"\bENOSPC\b"),
    ),
    "lr_zero": Sign(
        pattern=_loose(rf"(?<![A-Za-z-])(?:lr|learning[ _-]?rate){_RATE}{_ZERO}"),
        probes={
            "lr": re.compile(rf"lr{_RATE}{_ZERO}".encode()),
            "learningrate": re.compile(rf"learning[ _-]?rate{_RATE}{_ZERO}".encode()),
        },
    ),
    "speed": Sign(
        flood=True,
        words=("persec",),
        pattern=_any(
            rf"/{_A_SECOND}s(?:ec(?:ond)?)?\b",
            rf"/{_EACH}(?:{'|'.join(_UNITS)})\b",
            rf"per{_PER}[ _]sec(?:ond)?\b",
        ),
        probes=dict.fromkeys(
            _SPEEDS, re.compile(rb"/(?:s(?:ec|econd)?\b|it|step|batch|sample|ex)")
        ),
    ),
    "skipped_batch": Sign(
        words=("skipp",),
        pattern=_loose(
            rf"\bskipp(?:ed|ing)\b.{{0,40}}\b{_OF}\b",
            rf"\b{_OF}\b.{{0,30}}\bskipped\b",
        ),
        without=_loose(
            r"\b(?:0|no)\s+(?:\w+\s+)?skipped\b|\bskipped\w*[\"']?\s*[:=]?\s*0\b",
            r"skipping (?:the )?first\b.*",  # what a resumed run does with data it has seen
            r"skipping (?:this |the )?(?:optimizer )?step\b",  # the gradient scaler
        ),
    ),
    "traceback": Sign(
        words=("tracebackmostrecent",),
        pattern=_any(r"Traceback \(most recent call last\)"),
        more=12,
    ),
    "root_cause": Sign(  # of torchrun's summary: the rank that failed first
        words=("rootcausefirst",),
        pattern=_any(r"Root Cause \(first observed failure\)"),
        more=8,
    ),
    "torn_checkpoint": Sign(
        words=(
            *("pytorchstreamreader", "unexpectedpos", "corrupt", "centraldirectory"),
            *("ranoutofinput", "checkpointskipped", "headertoo", "invalidheader"),
            "incompletebuffer",
        ),
        pattern=_any(
            r"PytorchStreamReader failed",
            r"unexpected pos \d+ vs",
            r"invalid header or archive is corrupted",
            r"failed finding central directory",
            r"EOFError: Ran out of input",
            r"HeaderTooLarge|HeaderTooSmall|InvalidHeader|MetadataIncompleteBuffer",
            r"\bcheckpoint skipped, ",  # track.resume_path()
            r"(?i:checkpoint\b.{0,80}\bcorrupt|\bcorrupt\w*\b.{0,40}\bcheckpoint)",
        ),
    ),
    "votes": Sign(words=("vote", "voting"), pattern=_loose(r"\bvot(?:e|es|ed|ing)\b")),
    "input_bound_word": Sign(
        words=("bottleneck", "inputbound", "databound", "starv"),
        pattern=_loose(
            r"(?:data ?loader|data loading|input pipeline|workers).{0,80}"
            r"(?:bottleneck|starv)",
            r"(?:bottleneck|starv).{0,80}(?:data ?loader|data loading|input pipeline|workers)",
            r"\b(?:input|data)[- ]bound\b",
        ),
    ),
}
