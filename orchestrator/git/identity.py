"""Who works here, as git knows it."""

import re
from pathlib import Path

from orchestrator.git.program import Git

_IDENT = re.compile(r"(?P<name>.+ <[^<>]*>) \d+ [+-]\d{4}")


def author_of(folder: Path) -> str | None:
    """`Ada <ada@example.org>`, whom git would name as author in `folder`; None if it was not told.

    What git makes up from user and host names is nobody's name.
    """
    git = Git(folder=folder)
    if not git.installed():
        return None
    answer = git.tell("-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
    found = _IDENT.fullmatch(answer.text) if answer.code == 0 else None
    return found["name"] if found else None
