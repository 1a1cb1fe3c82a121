"""Memory that was not enough: on a GPU, in pieces on a GPU, on the host."""

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.diagnose.case import Case, Hit
from orchestrator.diagnose.causes import Shortage, shortage
from orchestrator.diagnose.causes.signs import cause_of_exception
from orchestrator.diagnose.rules.pace import hits_of
from orchestrator.diagnose.settings import Setting, accumulation, setting
from orchestrator.diagnose.sizes import Kind, Reading, Shapes, readings_of
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.retry import Cause

_SHOWN = 3  # lines of evidence of a kind
_QUOTED = 6  # lines of a message
_EVALUATES = re.compile(r"(?i)(?:^|_|\b)(?:eval\w*|val|valid\w*|test\w*)(?:_|\b|$)")
_FRAME = re.compile(r'File ".*", line \d+, in (\w+)')
_PLACE = re.compile(r" at [^\s:]+\.py:(\w+)")
_NUMBERS = re.compile(r"\d ?(?:[KMGT]i?B|bytes)")
_SCHEDULER = re.compile(r"(?i)slurm.*oom[-_ ]kill|\bOOMKilled\b")
_KERNEL = re.compile(r"(?i)killed process (\d+)")
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_BATCHES = ("batch", "global_batch", "eval_batch", "accumulate")
_CAUSES = (Kind.SCORES, Kind.LOGITS)  # activations that can be avoided: surer than the allocator
_RESTS_ON = {  # settings that a reading rests on, by meaning
    Kind.SCORES: (*_BATCHES, "heads", "sequence"),
    Kind.LOGITS: (*_BATCHES, "sequence", "vocab"),
    Kind.PARAMETERS: ("parameters",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Oom:
    """A GPU allocation that failed: its message, its numbers if it has any, the phase, readings.

    `quoted` are the settings that the readings rest on.
    """

    quotes: tuple[Quote, ...]
    asked: Shortage | None
    evaluating: bool
    readings: tuple[Reading, ...]
    quoted: tuple[Quote, ...]

    @property
    def kind(self) -> Kind | None:
        return self.readings[0].kind if self.readings else None

    @property
    def fragmented(self) -> bool:
        return self.asked is not None and self.asked.fragmented is True

    @property
    def crowded(self) -> bool:
        """Whether it had fitted without the other processes on that GPU."""
        asked = self.asked
        return bool(asked and asked.others and asked.short and asked.others >= asked.short)


def cuda_oom(case: Case) -> Iterator[Finding]:
    """A GPU allocation failed, in training or in evaluation."""
    oom = _oom(case)
    if oom is None:
        return
    where = "evaluation" if oom.evaluating else "training"
    yield Finding(
        id="cuda-oom-eval" if oom.evaluating else "cuda-oom-train",
        severity=_severity(case),
        title=f"CUDA out of memory in {where}{_headline(oom)}",
        evidence=(*oom.quotes, *oom.quoted),
        arithmetic=_arithmetic(oom),
        meaning=_meaning(oom),
        action=_action(case, oom),
        retry=oom.crowded,
    )


def fragmentation(case: Case) -> Iterator[Finding]:
    """The memory was there, but in pieces; not where an activation explains the size."""
    oom = _oom(case)
    if oom is None or not oom.fragmented or oom.kind in _CAUSES or _expandable(case):
        return
    yield Finding(
        id="fragmentation",
        severity=Severity.WARN,
        title="GPU memory was free, but in pieces",
        evidence=oom.quotes,
        arithmetic=_arithmetic(oom),
        meaning="PyTorch holds memory that it does not use and cannot join. A new process begins "
        "whole, and comes to the same point again.",
        action="Set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True in [env] of the spec, so that "
        "it is there before torch is loaded",
        retry=None,
    )


def _oom(case: Case) -> _Oom | None:
    """The newest attempt's: the last message that tells numbers, else the last, else its cause."""
    hits = hits_of(case, "cuda_oom")
    hit = next((each for each in reversed(hits) if shortage(each.text)), hits[-1] if hits else None)
    quotes = () if hit is None else (_message(hit),)
    failure = case.failures.get(case.attempt)
    if not quotes and failure is not None and failure.cause is Cause.CUDA_OOM:
        source = f"attempt-{case.attempt}/failure.json"
        quotes = (Quote(source=source, text=failure.evidence),)
    if not quotes:
        return None
    evaluating, ended = _phase(case, hit)
    names = dict.fromkeys(name for rests_on in _RESTS_ON.values() for name in rests_on)
    settings = {name: found for name in names if (found := setting(case, name)) is not None}
    asked = shortage(hit.text if hit else quotes[0].text)
    shapes = _shapes(case, settings, evaluating=evaluating)
    readings = readings_of(asked.tried, shapes) if asked else ()
    kind = readings[0].kind if readings else None
    rests_on = _RESTS_ON[kind] if kind else ()
    return _Oom(
        quotes=(*quotes, *ended),
        asked=asked,
        evaluating=evaluating,
        readings=tuple(each for each in readings if each.kind is kind),
        quoted=tuple(settings[name].quote for name in rests_on if name in settings),
    )


def _message(hit: Hit) -> Quote:
    """The message alone: its first line, and those behind it that hold its numbers."""
    first, *more = hit.text.split("\n")
    told = [line for line in more[:_QUOTED] if _NUMBERS.search(line)]
    return Quote(source=hit.source, line=hit.line, text="\n".join((first, *told)))


def _phase(case: Case, hit: Hit | None) -> tuple[bool, tuple[Quote, ...]]:
    """Whether it happened in evaluation, and what says so.

    The phase that ended with the error or never ended; else the functions of its traceback; else
    the command that ran. Where nothing tells, training.
    """
    begun: dict[str, list[tuple[str, Quote]]] = {}
    commands: list[tuple[str, Quote]] = []
    for event in case.events:
        if event.at.attempt != case.attempt or event.name not in {"phase", "process"}:
            continue
        name, state = str(event.data.get("phase")), event.data.get("state")
        quote = Quote(
            source=event.at.source, line=event.at.line, text=f"{event.name} {name} {state}"
        )
        if cause_of_exception(str(event.data.get("error"))) is Cause.CUDA_OOM:
            return _is_eval(name), (quote,)
        of = commands if event.name == "process" else begun.setdefault(event.at.source, [])
        if state == "begin":
            of.append((name, quote))
        elif of is not commands and of:
            of.pop()
    inner = [told for phases in begun.values() for told in phases]
    functions = _functions(case, hit)
    if inner:
        name, quote = next((told for told in inner if _is_eval(told[0])), inner[-1])
        return _is_eval(name), (quote,)
    if any(map(_is_eval, functions)) or not commands:
        return any(map(_is_eval, functions)), ()
    name, quote = commands[-1]
    return _is_eval(name), (quote,)


def _is_eval(name: str) -> bool:
    return _EVALUATES.search(name) is not None


def _functions(case: Case, hit: Hit | None) -> list[str]:
    """Functions in which it happened, as far as they are known."""
    failure = case.failures.get(case.attempt)
    place = _PLACE.search(failure.evidence) if failure is not None else None
    names = [place[1]] if place else []
    if hit is not None:
        above = [
            trace
            for trace in hits_of(case, "traceback")
            if trace.source == hit.source and trace.line < hit.line
        ]
        names += _FRAME.findall(above[-1].text) if above else []
    return names


def _shapes(case: Case, settings: dict[str, Setting], *, evaluating: bool) -> Shapes:
    values = {name: (round(told.value),) for name, told in settings.items() if told.value >= 1}
    batch, whole = values.get("batch", ()), values.get("global_batch", ())
    trained = (*batch, *_parts((*batch, *whole), accumulation(case)), *whole)
    measured = values.get("eval_batch", ())
    batches = (*measured, *trained) if evaluating else (*trained, *measured)
    return Shapes(
        batches=tuple(dict.fromkeys(batches)),
        heads=values.get("heads", ()),
        sequences=values.get("sequence", ()),
        vocabularies=values.get("vocab", ()),
        parameters=values.get("parameters", ()),
    )


def _parts(batches: tuple[int, ...], accumulate: int) -> tuple[int, ...]:
    """Micro-batches, where what is called the batch is that of an optimizer step."""
    return tuple(batch // accumulate for batch in batches if batch % accumulate == 0)


def _severity(case: Case) -> Severity:
    """An error where it ended the attempt; a program that goes on has caught it."""
    failure = case.failures.get(case.attempt)
    if failure is not None:
        return Severity.ERROR if failure.cause is Cause.CUDA_OOM else Severity.WARN
    return Severity.ERROR if case.exit is not None and case.exit.code != 0 else Severity.WARN


def _headline(oom: _Oom) -> str:
    asked = oom.asked
    if asked is None:
        return ""
    what = f" of {oom.kind}" if oom.kind else ""
    text = f": tried {_gib(asked.tried)} GiB{what}"
    if asked.free is None:
        return text
    text += f", {_gib(asked.free)} free"
    if oom.fragmented:
        return f"{text} (fragmented)"
    return f"{text}: {_gib(asked.short)} GiB short" if asked.short else text


def _arithmetic(oom: _Oom) -> str:
    asked = oom.asked
    if asked is None:
        return "the message tells no numbers"
    terms = []
    if oom.readings:
        first, *others = oom.readings
        also = f"; also {others[0].factors}" if others else ""
        terms.append(first.of(asked.tried) + also)
    terms.append(asked.arithmetic or f"tried {_gib(asked.tried)} GiB")
    if asked.others:
        terms.append(f"other processes hold {_gib(asked.others)} GiB")
    return "; ".join(terms)


def _meaning(oom: _Oom) -> str:
    if oom.crowded:
        return "It had fitted without the other processes on this GPU."
    trigger = " Fragmentation was the trigger, not the cause." if oom.fragmented else ""
    if oom.kind is Kind.SCORES:
        return (
            "The attention scores of a whole batch are stored, whose size grows with the square of "
            f"the sequence.{trigger}"
        )
    if oom.kind is Kind.LOGITS:
        return f"The logits of all positions are stored at once.{trigger}"
    if oom.kind is Kind.PARAMETERS:
        return "It is a copy of the parameters: optimizer state, gradients or an average."
    if oom.evaluating:
        return (
            "Evaluation needs more than training left: optimizer state and cached blocks stay where"
            " they are. The same again ends the same."
        )
    return "The same again ends the same."


def _action(case: Case, oom: _Oom) -> str:
    if oom.crowded:
        return "exp gpu shows whose processes they are; lease the GPU for this run alone"
    if oom.kind is Kind.SCORES:
        return (
            "Use torch.nn.functional.scaled_dot_product_attention (flash or memory-efficient), "
            "which never stores the scores; for masks that are no matrix, flex_attention"
        )
    if oom.kind is Kind.LOGITS:
        return "Compute the cross-entropy in chunks of positions, or with a fused linear loss"
    if oom.fragmented and not _expandable(case):
        return "See the finding fragmentation: the allocator setting first, then a smaller batch"
    if oom.kind is Kind.PARAMETERS:
        return "Shard or offload the optimizer state (FSDP, ZeRO), or use an 8-bit optimizer"
    if oom.evaluating:
        batch = _halved(setting(case, "eval_batch"), "the evaluation batch")
        return f"{batch}, under torch.no_grad(), after torch.cuda.empty_cache(); leave training's"
    batch = _halved(setting(case, "batch"), "the micro-batch")
    return f"{batch} and double the accumulation; then activation checkpointing"


def _halved(told: Setting | None, what: str) -> str:
    if told is None or told.value < 2:
        return f"Halve {what}"
    return f"Halve {what}: --set {told.name}={round(told.value) // 2}"


def _expandable(case: Case) -> bool:
    """Whether the allocator was told already; also where a program cannot be told."""
    told = {**case.record.environment, **case.record.env}
    return any("expandable_segments:True" in told.get(name, "") for name in _ALLOCATOR)


def host_oom(case: Case) -> Iterator[Finding]:
    """The kernel or a scheduler killed for want of memory, and says so."""
    proof = _host_proof(case)
    if not proof:
        return
    peak = _peak(case)
    terms = [quote.text.split("\n")[0] for quote in proof[:1]]
    terms += [peak[0]] if peak else []
    workers = setting(case, "workers")
    fewer = f" (--set {workers.name}={round(workers.value) // 2})" if workers else ""
    yield Finding(
        id="host-oom",
        severity=Severity.ERROR,
        title="Killed for want of host memory" + (f": {peak[0]}" if peak else ""),
        evidence=(*proof, *((peak[1],) if peak else ())),
        arithmetic="; ".join(terms),
        meaning="The machine or the control group had no memory left, and a process of the run "
        "was killed. The same again ends the same.",
        action=f"Fewer data workers{fewer} and less prefetching; do not keep the data set in each "
        "worker; watch system/tree_memory",
        retry=False,
    )


def _host_proof(case: Case) -> tuple[Quote, ...]:
    """Who says that it was for want of memory; a bare "Killed" or -9 proves nothing."""
    failure, ended = case.failures.get(case.attempt), case.exit
    folder = f"attempt-{case.attempt}"
    found = []
    if failure is not None and failure.cause is Cause.HOST_OOM:
        found.append(Quote(source=f"{folder}/failure.json", text=failure.evidence))
    elif ended is not None and ended.oom_kill and _by_kill(ended.code, ended.signal):
        how = f"signal {ended.signal}, code {ended.code}, oom_kill +{ended.oom_kill}"
        found.append(Quote(source=f"{folder}/exit.json", text=how))
    if ended is not None and ended.code != 0:
        hits = hits_of(case, "host_oom_word")
        found += [hit.quote for hit in hits if _SCHEDULER.search(hit.text)][:_SHOWN]
        ours = {event.data.get("pid") for event in case.events if event.name == "start"}
        for line in case.machine.kernel:
            killed = _KERNEL.search(line.text)
            if killed and int(killed[1]) in ours:
                found.append(line)
    return tuple(found)


def _by_kill(code: int | None, number: int | None) -> bool:
    return number == signal.SIGKILL or code in {128 + signal.SIGKILL, -signal.SIGKILL}


def _peak(case: Case) -> tuple[str, Quote] | None:
    curve = case.curves.get("system/tree_memory")
    if curve is None or not len(curve):
        return None
    at = max(range(len(curve)), key=curve.values.__getitem__)
    total = case.machine.host.memory_total if case.machine.host else None
    of = f" of {_gib(total)}" if total else ""
    return f"the run's processes held {_gib(curve.values[at])}{of} GiB", curve.quote(at)


def _gib(size: float | None) -> str:
    return "?" if size is None else f"{size / (1 << 30):.2f}"
