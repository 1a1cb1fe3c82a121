"""`exp ticket lint --fix`: offer predicates one by one, and write those that a person takes."""

import sys
from collections.abc import Iterable, Iterator

from rich.text import Text

from orchestrator.actions.fixing import Fix, fixes, write_fixes
from orchestrator.cli.console import clean, err, note
from orchestrator.errors import UsageError
from orchestrator.workspace import Workspace

_QUESTION = "write it? [y]es [n]o [a]ll [q]uit: "


def offer_fixes(workspace: Workspace, chosen: tuple[str, ...], *, yes: bool) -> None:
    """Ask for each predicate, then write those that were taken.

    With `yes` nothing is asked: what was read definitely is written, guesses are left alone.

    Raises:
        UsageError: there is something to ask, and nobody to answer.
    """
    offered = fixes(workspace, chosen)
    if not offered:
        note("nothing to fix")
        return
    if not yes and not sys.stdin.isatty():
        raise UsageError(
            f"{len(offered)} predicates could be written, but nobody can be asked here",
            hint="exp ticket lint --fix --yes",
        )
    guesses = sum(not fix.sure for fix in offered)
    if yes and guesses:
        note(f"{guesses} guesses at open questions are left: exp ticket lint --fix asks for each")
    taken = [fix for fix in offered if fix.sure] if yes else list(_taken(offered))
    for fix in taken if yes else ():
        _show(fix)
    changed = write_fixes(workspace, taken)
    lines, files = len(taken), changed
    note(f"{lines} line{'s' * (lines != 1)} written in {files} ticket{'s' * (files != 1)}")


def _taken(offered: Iterable[Fix]) -> Iterator[Fix]:
    """What a person says yes to; the end of input, like `q`, ends the questions."""
    every = False
    for fix in offered:
        _show(fix)
        answer = "y" if every else _answer()
        if answer == "q":
            return
        every = every or answer == "a"
        if every or answer == "y":
            yield fix


def _answer() -> str:
    while True:
        err().print(Text(_QUESTION, style="bold"), end="")
        line = sys.stdin.readline()
        answer = line.strip().casefold()[:1]
        if not line:
            return "q"
        if answer in {"y", "n", "a", "q"}:
            return answer


def _show(fix: Fix) -> None:
    text = Text.assemble((f"{fix.path}:{fix.line}", "cyan"), f" {clean(fix.text)}\n")
    text.append(f"  + <!-- exp: {clean(fix.predicate)} -->", style="green")
    if fix.why:
        text.append(f"\n    {clean(fix.why)}", style="dim")
    err().print(text)
