"""What a template of a report can show: the one table that documents, lists and is tested.

A value marked M is Markdown already and takes the filter `inline`; all others take `literal` or
`code`. What is unknown says so.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """A name, what it holds, and the names within it or within each of its rows, by spaces."""

    name: str
    holds: str
    within: str = ""


VARIABLES = (
    Variable("kind", "status, checkpoint, log or analysis"),
    Variable("time", "the moment of the report, UTC"),
    Variable("state", "Running, Completed, Incomplete, Failed, Stopped, Lost, Not started …"),
    Variable("headline", "how it ended and how many required criteria are met, in sentences"),
    Variable(
        "ticket", "the ticket; `link` is relative to the page", "id title status phase path link"
    ),
    Variable("run", "the newest run; none if the ticket was never started", "id attempts"),
    Variable(
        "git",
        "where the run started from: `patch` tells of local changes; none without a repository",
        "commit branch patch untracked",
    ),
    Variable(
        "since",
        "what counts as before; none if there is nothing to compare with",
        "label run time commit",
    ),
    Variable("now", "the current status, line by line; `text` M", "name text"),
    Variable(
        "timeline",
        "what happened to the run, oldest first, the middle of a long one left out; `text` M",
        "time step text",
    ),
    Variable(
        "log",
        "what happened to all runs of the ticket with people's notes; `text` and `note` M",
        "time run step text note",
    ),
    Variable(
        "attempts",
        "each attempt; `ending`, `cause`, `decision` M",
        "number started ran steps ending cause decision",
    ),
    Variable("log_tail", "the last lines of the log after a failure, one text"),
    Variable(
        "metrics",
        "the table of metrics: what to show, what to fold away (rows alike), how many "
        "are left out, whether anything has a value before",
        "rows more left_out compared",
    ),
    Variable(
        "metrics.rows",
        "a metric: its values with their steps; `course` is a sparkline",
        "name points non_finite first now before change best target course",
    ),
    Variable("charts", "pictures of curves", "file alt"),
    Variable("bars", "pictures of classes and components, of the analysis alone", "file alt"),
    Variable(
        "classes",
        "a metric by class: whether examples are counted, what a constant answer "
        "scores, whether the overall value is no better; `run` is the run before, if it is of that",
        "family step run counted rows left_out overall constant flattering",
    ),
    Variable("classes.rows", "a class", "name value count"),
    Variable(
        "components",
        "the terms of a loss: whether shares are declared, values before known, and "
        "what no term explains",
        "loss step total declared compared rows unnamed unnamed_share",
    ),
    Variable("components.rows", "a term", "name value before share declared ratio"),
    Variable(
        "gaps", "the same metric in training and in evaluation", "metric train evaluation times"
    ),
    Variable(
        "findings",
        "what is wrong with the run as it stands, the worst first; `retry` in words, "
        "none if that is no question",
        "severity id title evidence arithmetic meaning action retry opened closed",
    ),
    Variable("findings.evidence", "a quote, six at most", "place text"),
    Variable(
        "mended",
        "what no longer holds, as `findings`",
        "severity id title evidence arithmetic meaning action retry opened closed",
    ),
    Variable("incident", "whether the run before failed and this one has not: `gone` was why"),
    Variable(
        "gone",
        "what was found of the run before and is not found of this one, as `findings`",
        "severity id title evidence arithmetic meaning action retry opened closed",
    ),
    Variable(
        "changed",
        "what is another than before, and how many are left out",
        "files settings more_files more_settings",
    ),
    Variable("changed.files", "a file: added, changed, deleted or renamed", "path how lines"),
    Variable("changed.settings", "a parameter; `before` and `after` M", "name before after"),
    Variable(
        "criteria",
        "what is required first, then nice to have, alarms, rules; `goal` is false of "
        "the last two, `source` is file:line; `text` and `evidence` M",
        "number state final text required goal warnings edited reviews evidence source margin",
    ),
    Variable("reviewed", "whether a criterion has a review"),
    Variable(
        "projections",
        "where pending criteria are heading; `text` M",
        "text expected interval planned method",
    ),
    Variable(
        "decision",
        "what a person has to decide after a failure; `why` lines M; none as long as "
        "nothing has failed",
        "why spent can_change options",
    ),
    Variable("decision.options", "an option; `consequence` M", "what command consequence"),
    Variable("next_steps", "lines M: from open criteria and waiting tickets"),
    Variable("milestone", "what a live run comes to next; none if unknown", "what step left time"),
    Variable(
        "unknown",
        "lines M: criteria without data, broken checkpoints, what was not measured or said",
    ),
    Variable("setup", "experiment, commands, resources, executor, seed, folder", "name text"),
    Variable("reported", "what the program said of its model and data", "name text"),
    Variable("configuration", "pairs of dotted name and value"),
    Variable("hardware", "GPUs and the rest of the machine", "gpus left_out host"),
    Variable(
        "hardware.gpus",
        "a GPU: its newest samples with median or peak",
        "name memory utilization power temperature",
    ),
    Variable("hardware.host", "memory, processors, disk", "name text"),
    Variable(
        "checkpoints",
        "the newest checkpoints, how many earlier ones, what all take",
        "rows earlier bytes",
    ),
    Variable("checkpoints.rows", "a checkpoint", "step path size files time state"),
    Variable("commands", "commands to look, go on and end", "command why"),
    Variable("cost", "hours, budget, money, what was spared", "name text"),
    Variable(
        "remarks",
        "what people noted, rows by kind; `text` M",
        "cause lesson decision risk confidence next note",
    ),
    Variable("remarks.cause", "a note of that kind; of the others alike", "by time text run"),
    Variable("notes", "a person's own section: once in every template"),
)
