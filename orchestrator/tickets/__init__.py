"""Tickets: read without loss, edited one span at a time, allocated, linted and ordered."""

from orchestrator.tickets.allocate import IdSource, new_ticket
from orchestrator.tickets.changes import Change, changes_since
from orchestrator.tickets.document import Document, git_blob, parse
from orchestrator.tickets.files import (
    Edit,
    Known,
    LoadedTicket,
    edit_file,
    find,
    load_all,
    load_documents,
    load_file,
    locate,
    refresh,
    ticket_files,
)
from orchestrator.tickets.graph import cycles, freed_by, inverse, mermaid, ready, tree, unblocks
from orchestrator.tickets.lint import Knowledge, LintFinding, lint
from orchestrator.tickets.remarks import (
    add_remark,
    remark_text,
    remarks_at,
    remarks_of,
    unread_remarks,
)
from orchestrator.tickets.render import Draft, render_ticket
from orchestrator.tickets.reviews import (
    add_reviews,
    line_seen,
    plain_key,
    reviews_at,
    reviews_of,
    said_of_line,
    unread_lines,
)
from orchestrator.tickets.words import (
    has_predicate,
    is_criterion,
    known_phase,
    known_status,
    line_key,
    split_note,
    without_predicate,
)

__all__ = [
    "Change",
    "Document",
    "Draft",
    "Edit",
    "IdSource",
    "Knowledge",
    "Known",
    "LintFinding",
    "LoadedTicket",
    "add_remark",
    "add_reviews",
    "changes_since",
    "cycles",
    "edit_file",
    "find",
    "freed_by",
    "git_blob",
    "has_predicate",
    "inverse",
    "is_criterion",
    "known_phase",
    "known_status",
    "line_key",
    "line_seen",
    "lint",
    "load_all",
    "load_documents",
    "load_file",
    "locate",
    "mermaid",
    "new_ticket",
    "parse",
    "plain_key",
    "ready",
    "refresh",
    "remark_text",
    "remarks_at",
    "remarks_of",
    "render_ticket",
    "reviews_at",
    "reviews_of",
    "said_of_line",
    "split_note",
    "ticket_files",
    "tree",
    "unblocks",
    "unread_lines",
    "unread_remarks",
    "without_predicate",
]
