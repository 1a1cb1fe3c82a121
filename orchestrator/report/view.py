"""What the template shows: facts turned into words and rows. See docs/reports.md for the names."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.clock import format_utc
from orchestrator.domain.criterion import Evidence, State
from orchestrator.domain.finding import KnownFinding, Quote
from orchestrator.domain.run import RunStatus
from orchestrator.report import words
from orchestrator.report.curves import Chart
from orchestrator.report.facts import CriterionFacts, MetricFacts, ReportFacts, RunInfo
from orchestrator.report.markdown import code, link, literal

_BAR = 24
_MOST_HEADLINES = 4
_MOST_FILES = 30
_MOST_MOMENTS = 40
_MOST_QUOTES = 6  # of a finding
_RETRY = {True: "may go well", False: "would end no better"}
_HEADLINE = re.compile(r"loss|acc|pass@|exact|perplexity|ppl|score|reward|f1", re.IGNORECASE)

Row = dict[str, Any]


def view_of(facts: ReportFacts, charts: Sequence[Chart], log_tail: str) -> Row:
    """All variables of the status template."""
    run = facts.run
    live = run is not None and run.status is not RunStatus.ENDED
    return {
        "time": format_utc(facts.time),
        "state": words.state_of_run(run),
        "headline": _headline(facts),
        "ticket": _ticket(facts),
        "run": None if run is None else {"id": run.id, "attempts": _attempts_so_far(facts)},
        "git": _git(facts),
        "now": _now(facts, live=live),
        "criteria": [_criterion(each) for each in facts.criteria],
        "reviewed": any(each.reviews for each in facts.criteria),
        "findings": [_finding(each) for each in facts.findings if each.closed is None],
        "mended": [_finding(each) for each in facts.findings if each.closed is not None],
        "log_tail": log_tail,
        "metrics": [_metric(metric) for metric in facts.metrics],
        "charts": [{"file": chart.file, "alt": _alt(chart)} for chart in charts],
        "timeline": _timeline(facts),
        "attempts": [_attempt(facts, at) for at in range(len(facts.attempts))],
        "checkpoints": [_checkpoint(facts, at) for at in range(len(facts.checkpoints))],
        "unknown": [*_undecided(facts), *map(literal, facts.unknown)],
        "next_steps": [*_next_steps(facts, live=live), *map(literal, facts.next_steps)],
        "setup": [] if run is None else _setup(run),
        "configuration": words.flat(facts.configuration),
        "changed": _changed(facts),
        "commands": _commands(facts, live=live),
    }


def _headline(facts: ReportFacts) -> str:
    parts = [words.tally(facts.criteria)] if facts.run or facts.criteria else []
    if facts.run and facts.run.why.lower() not in {"", "running", "starting"}:
        parts.insert(0, facts.run.why)
    return "".join(f"{part[0].upper()}{part[1:].rstrip('.')}. " for part in parts).strip()


def _ticket(facts: ReportFacts) -> Row:
    ticket = facts.ticket
    return {
        "id": ticket.id,
        "title": ticket.title,
        "status": ticket.status,
        "phase": ticket.phase,
        "path": ticket.path,
        "link": link(facts.path, ticket.path),
    }


def _attempts_so_far(facts: ReportFacts) -> int:
    return max((attempt.number for attempt in facts.attempts), default=1)


def _git(facts: ReportFacts) -> Row | None:
    git = facts.git
    if git is None:
        return None
    commit = git.commit[:10] if git.commit else None
    return {
        "commit": commit,
        "branch": git.branch,
        "patch": git.patch,
        "untracked": f"{git.untracked:,}" if git.untracked else None,
    }


def _now(facts: ReportFacts, *, live: bool) -> list[Row]:
    run, progress = facts.run, facts.progress
    if run is None:
        return []
    lines = [_progress_line(facts), {"name": "Time", "text": _time_text(facts, live=live)}]
    if run.saved is not None:
        lines.append({"name": "Ended early", "text": run.saved})
    if progress.speed is not None:
        speed = f"{words.number(progress.speed)} steps/s"
        how = f" ({progress.method})" if progress.method else ""
        lines.append({"name": "Speed", "text": speed + how})
    if progress.eval_share is not None:
        share = f"{progress.eval_share:.0%} of the time"
        lines.append({"name": "Evaluation took", "text": share})
    headlines = _headline_metrics(facts.metrics)
    lines += [{"name": metric.name, "text": _metric_now(metric)} for metric in headlines]
    if live and run.pid is not None:
        host = f" on {code(run.host)}" if run.host else ""
        lines.append({"name": "Process", "text": f"{run.pid}{host}"})
    if run.log:
        lines.append({"name": "Log", "text": code(run.log)})
    return lines


def _progress_line(facts: ReportFacts) -> Row:
    step, planned = facts.progress.step, facts.progress.planned
    if step is None:
        plan = f" of {planned:,} planned" if planned else ""
        return {"name": "Progress", "text": f"no step{plan} recorded yet"}
    if not planned:
        return {"name": "Progress", "text": f"step {step:,}; how many are planned is unknown"}
    done = min(1.0, step / planned)
    full = int(done * _BAR)
    bar = "█" * full + "░" * (_BAR - full)
    text = f"{step:,} of {planned:,} steps ({_percentage(step, planned)})"
    return {"name": "Progress", "text": f"`{bar}` {text}"}


def _percentage(part: int, whole: int) -> str:
    """Rounded down to a tenth: 100% is said only when it is true."""
    tenths = 1000 * part // whole
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10:.1f}%"


def _time_text(facts: ReportFacts, *, live: bool) -> str:
    spent = words.duration(facts.progress.elapsed)
    if not live:
        count = _attempts_so_far(facts)
        return f"took {spent}{f' in {count} attempts, pauses included' if count > 1 else ''}"
    return f"running for {spent}, time left {words.duration_range(facts.progress.eta)}"


def _headline_metrics(metrics: Iterable[MetricFacts]) -> list[MetricFacts]:
    """Those that a criterion asks for, then loss and accuracy, at most four."""
    known = [metric for metric in metrics if metric.latest is not None]
    asked = [metric for metric in known if metric.targets]
    usual = [metric for metric in known if not metric.targets and _HEADLINE.search(metric.name)]
    return [*asked, *usual][:_MOST_HEADLINES]


def _metric_now(metric: MetricFacts) -> str:
    if metric.latest is None:
        return words.UNKNOWN
    value = words.measure(metric, metric.latest.value)
    return literal(f"{value} at step {metric.latest.step:,}, {words.trend(metric)}")


def _criterion(facts: CriterionFacts) -> Row:
    criterion, verdict = facts.criterion, facts.verdict
    decided = verdict.state in {State.MET, State.FAILED}
    return {
        "state": words.state_of(facts),
        "final": verdict.final or not decided,
        "text": criterion.text,
        "required": criterion.required,
        "goal": criterion.reading.is_goal,
        "warnings": verdict.companions,
        "edited": facts.edited,
        "reviews": facts.reviews,
        "evidence": literal(verdict.why or (verdict.evidence.text if verdict.evidence else "")),
        "source": _source(verdict.evidence),
        "margin": words.margin(verdict),
    }


def _finding(known: KnownFinding) -> Row:
    finding = known.finding
    return {
        "severity": finding.severity.upper(),
        "id": finding.id,
        "title": finding.title,
        "evidence": [
            {"place": _place(quote), "text": quote.text}
            for quote in finding.evidence[:_MOST_QUOTES]
        ],
        "arithmetic": finding.arithmetic,
        "meaning": finding.meaning,
        "action": finding.action,
        "retry": None if finding.retry is None else _RETRY[finding.retry],
        "opened": _clock(known.opened),
        "closed": _clock(known.closed),
    }


def _place(quote: Quote) -> str:
    return quote.source if quote.line is None else f"{quote.source}:{quote.line}"


def _source(evidence: Evidence | None) -> str | None:
    if evidence is None or evidence.source is None:
        return None
    return evidence.source if evidence.line is None else f"{evidence.source}:{evidence.line}"


def _metric(metric: MetricFacts) -> Row:
    return {
        "name": metric.name,
        "points": f"{metric.points:,}",
        "non_finite": f"{metric.non_finite:,}" if metric.non_finite else None,
        "first": words.at_step(metric, metric.first),
        "latest": words.at_step(metric, metric.latest),
        "best": words.at_step(metric, metric.best),
        "target": ", ".join(target.label for target in metric.targets) or words.NONE,
    }


def _alt(chart: Chart) -> str:
    names = [metric.name for metric in chart.metrics]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{listed} over training steps"


def _clock(seconds: float | None) -> str:
    return words.UNKNOWN if seconds is None else format_utc(seconds).removesuffix(" UTC")


def _timeline(facts: ReportFacts) -> list[Row]:
    rows = [
        {
            "time": _clock(moment.time),
            "step": words.NONE if moment.step is None else f"{moment.step:,}",
            "text": literal(moment.text),
        }
        for moment in facts.timeline
    ]
    if len(rows) <= _MOST_MOMENTS:
        return rows
    first, last = rows[: _MOST_MOMENTS // 4], rows[-3 * _MOST_MOMENTS // 4 :]
    left_out = f"… {len(rows) - len(first) - len(last):,} more …"
    return [*first, {"time": "…", "step": "…", "text": left_out}, *last]


def _attempt(facts: ReportFacts, at: int) -> Row:
    attempt = facts.attempts[at]
    ran = None
    if attempt.started is not None:
        ran = (facts.time if attempt.ended is None else attempt.ended) - attempt.started
    first, last = attempt.first_step, attempt.last_step
    known = first is not None and last is not None
    return {
        "number": attempt.number,
        "started": _clock(attempt.started),
        "ran": words.duration(ran),
        "steps": f"{first:,} to {last:,}" if known else words.UNKNOWN,
        "ending": literal(attempt.ending),
        "cause": code(attempt.cause or "") or words.NONE,
        "decision": literal(attempt.decision or words.NONE),
    }


def _checkpoint(facts: ReportFacts, at: int) -> Row:
    checkpoint = facts.checkpoints[at]
    return {
        "step": f"{checkpoint.step:,}",
        "path": checkpoint.path,
        "size": words.size(checkpoint.bytes),
        "files": f"{checkpoint.files:,}",
        "time": _clock(checkpoint.time),
        "state": "valid" if checkpoint.valid else "**broken**",
    }


def _undecided(facts: ReportFacts) -> list[str]:
    """Criteria without data and metrics with holes, as Markdown."""
    lines = [
        f"“{each.criterion.text}”: {literal(each.verdict.why)}"
        for each in facts.criteria
        if each.verdict.state is State.NO_DATA
    ]
    if facts.run is not None and facts.progress.planned is None:
        lines.append("how many steps are planned, and so the progress and the time left")
    lines += [
        f"whether checkpoint {code(checkpoint.path)} can be loaded: its files differ from its list"
        for checkpoint in facts.checkpoints
        if not checkpoint.valid
    ]
    return lines


def _next_steps(facts: ReportFacts, *, live: bool) -> list[str]:
    """What follows from the open criteria and the tickets that wait, as Markdown."""
    ticket = facts.ticket
    if facts.run is None:
        return [f"Start it: {code(f'exp ticket start {ticket.id}')}"]
    told = {
        State.FAILED: "Failed, decide what to change: “{}”",
        State.NO_DATA: "Make the run log what this needs: “{}”",
        State.PENDING: "Wait for it: “{}”" if live else "Still open, run again: “{}”",
        State.MANUAL: f"Check it yourself and tick it in {code(ticket.path)}: “{{}}”",
    }
    steps = [
        sentence.format(each.criterion.text)
        for state, sentence in told.items()
        for each in facts.criteria
        if each.verdict.state is state and each.criterion.required
    ]
    steps += [
        f"Look into the alarm: “{each.criterion.text}”"
        for each in facts.criteria
        if words.is_alarm(each) and each.verdict.state is State.MET
    ]
    return steps + [
        f"{code(other.id)} waits for this ticket: {literal(other.title)}"
        for other in ticket.dependents
        if other.status != "DONE"
    ]


def _setup(run: RunInfo) -> list[Row]:
    lines = [{"name": "Experiment", "text": run.experiment}]
    lines += [
        {"name": f"Command ({command.phase})", "text": shlex.join(command.argv)}
        for command in run.commands
    ]
    resources = ", ".join(f"{name} {value}" for name, value in words.flat(run.resources))
    lines.append({"name": "Resources", "text": resources})
    lines.append({"name": "Executor", "text": run.executor})
    lines.append({"name": "Seed", "text": None if run.seed is None else str(run.seed)})
    return [line for line in lines if line["text"]]


def _changed(facts: ReportFacts) -> Row:
    names = [change.path for change in facts.changes.files]
    since = facts.changes.since
    more = len(names) - _MOST_FILES
    return {
        "files": names[:_MOST_FILES],
        "since": since.label if since else None,
        "more": f"{more:,}" if more > 0 else None,
    }


def _commands(facts: ReportFacts, *, live: bool) -> list[Row]:
    run, ticket = facts.run, facts.ticket.id
    known = [(f"exp ticket show {ticket}", "criteria with verdicts and evidence")]
    if run is None:
        known.append((f"exp ticket start {ticket}", "launch it"))
    elif live:
        known.insert(0, (f"exp run logs -f {run.id}", "follow the log"))
        known.append((f"exp run stop {run.id}", "end it, with time to save"))
    else:
        known.insert(0, (f"exp run logs {run.id}", "read the log"))
    if run is not None:
        known.append((f"exp run show {run.id}", "the run with its attempts and metrics"))
    known.append((f"exp report {ticket}", "render this page again"))
    width = max(len(command) for command, _ in known)
    return [{"command": command.ljust(width), "why": why} for command, why in known]
