"""What the templates show: facts turned into words and rows, for all kinds alike.

`orchestrator.report.variables` says what each name holds.
"""

from collections.abc import Sequence
from typing import Any

from orchestrator.clock import format_utc
from orchestrator.domain.report import ReportKind
from orchestrator.domain.run import RunStatus
from orchestrator.report import words
from orchestrator.report.bars import BarChart
from orchestrator.report.curves import Chart
from orchestrator.report.facts import ReportFacts
from orchestrator.report.markdown import link
from orchestrator.report.view import claims, numbers, outlook, story
from orchestrator.report.view.now import attempts_so_far, milestone, now
from orchestrator.report.view.setup import cost, hardware, setup

Row = dict[str, Any]
Pictures = tuple[Sequence[Chart], Sequence[BarChart]]


def view_of(facts: ReportFacts, kind: ReportKind, pictures: Pictures, log_tail: str) -> Row:
    """All variables of the templates. `log_tail` is redacted already, as the facts are."""
    run = facts.run
    live = run is not None and run.status is not RunStatus.ENDED
    decision = claims.decision(facts, live=live)
    findings = [story.finding(each) for each in facts.findings if each.closed is None]
    return {
        "kind": str(kind),
        "time": format_utc(facts.time),
        "state": words.state_of_run(run),
        "headline": _headline(facts),
        "ticket": _ticket(facts),
        "run": None if run is None else {"id": run.id, "attempts": attempts_so_far(facts)},
        "git": _git(facts),
        "since": story.since(facts),
        "now": now(facts, live=live),
        "timeline": story.timeline(facts, kind),
        "log": story.log(facts),
        "attempts": story.attempts(facts),
        "log_tail": log_tail,
        "metrics": numbers.metrics(facts),
        "charts": _pictures(pictures[0]),
        "bars": _pictures(pictures[1]),
        "classes": numbers.classes(facts),
        "components": numbers.components(facts),
        "gaps": numbers.gaps(facts),
        "findings": findings,
        "mended": [story.finding(each) for each in facts.findings if each.closed is not None],
        "incident": story.incident(facts),
        "gone": story.gone(facts),
        "changed": story.changed(facts),
        "criteria": claims.criteria(facts),
        "reviewed": any(each.reviews for each in facts.criteria),
        "projections": claims.projections(facts),
        "decision": decision,
        "next_steps": outlook.next_steps(facts, live=live, decide=decision is not None),
        "milestone": milestone(facts, live=live),
        "unknown": outlook.unknown(facts, kind, live=live),
        "setup": [] if run is None else setup(run),
        "reported": [{"name": name, "text": text} for name, text in facts.reported],
        "configuration": words.flat(facts.configuration),
        "hardware": hardware(facts.machine),
        "checkpoints": story.checkpoints(facts),
        "commands": outlook.commands(facts, kind, live=live),
        "cost": cost(facts),
        "remarks": story.remarks(facts),
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


def _pictures(charts: Sequence[Chart] | Sequence[BarChart]) -> list[Row]:
    return [{"file": chart.file, "alt": chart.alt} for chart in charts]
