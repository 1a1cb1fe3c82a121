"""Which channels there are: [notify] of the workspace's exp.toml and of the user's own file.

What comes with a workspace must not run unasked (a clone brings it along): its command and its
URLs act only once `exp trust` has agreed to them. The user's own file always acts.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from orchestrator import trust
from orchestrator.codec import decode
from orchestrator.config import read_toml
from orchestrator.domain.notice import NoticeKind
from orchestrator.errors import ExpError, InvalidFileError
from orchestrator.workspace import Workspace

SUBJECT = "notify"  # what of a workspace is trusted, beside its commands
HANG_FLOOR = 120.0
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")
_PASSWORD = re.compile(r"(?i)://[^/\s@]*:[^/\s@]+@|[?&](?:token|key|pass(?:word)?|secret)=")
_TOKEN = re.compile(r"(?=[^/?&=@]*[0-9])(?=[^/?&=@]*[A-Za-z])[A-Za-z0-9_:\-]{16,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyConfig:
    """[notify]: `command` is an argv list, `apprise` are URLs or `$NAME` of a variable with one.

    `on` names the kinds that these channels are told of (default: all). `hang_floor` is the
    shortest silence in seconds that may count as a hang.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    command: tuple[str, ...] = ()
    apprise: tuple[str, ...] = ()
    desktop: bool | None = None
    on: tuple[NoticeKind, ...] | None = None
    hang_floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A configuration file as far as it concerns notices."""

    notify: NotifyConfig = field(default_factory=NotifyConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to reach a person; `name` stays the same as long as its place in the file does.

    `target` is an argv list, or the one URL (or `$NAME`) of apprise; a desktop needs none.
    """

    name: str
    kind: Literal["command", "apprise", "desktop"]
    target: tuple[str, ...] = ()
    cwd: str | None = None
    on: tuple[NoticeKind, ...] | None = None

    def accepts(self, kind: NoticeKind) -> bool:
        """Whether this channel is to hear of such notices."""
        return self.on is None or kind in self.on


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The channels that act; `problems` are sentences about those that do not, or should not."""

    channels: tuple[Channel, ...]
    problems: tuple[str, ...]
    hang_floor: float


def user_file() -> Path:
    """`exp/config.toml` below $XDG_CONFIG_HOME, or below ~/.config."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # The specification of these folders says that a relative path is to be ignored.
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".config"
    return folder / "exp" / "config.toml"


def notify_config(path: Path) -> NotifyConfig:
    """[notify] of a file; the defaults if there is no such file.

    Raises:
        InvalidFileError: names the line, or the key and value.
    """
    try:
        data = read_toml(path)
    except (FileNotFoundError, NotADirectoryError):
        return NotifyConfig()
    config = decode(_File, {"notify": data.get("notify", {})}, source=str(path)).notify
    if config.hang_floor is not None and not config.hang_floor >= 0:
        raise InvalidFileError(
            f"{path}: notify.hang_floor = {config.hang_floor}: less than 0 seconds",
            hint="set it to 120, or remove it",
        )
    return config


def load_settings(workspace: Workspace) -> Settings:
    """Channels of both files; whatever is wrong with one of them does not silence the other."""
    problems: list[str] = []
    own = _read(user_file(), problems)
    theirs = _read(workspace.root / "exp.toml", problems)
    channels = list(_channels("own", own, Path.home()))
    if _acts(workspace, theirs, problems):
        channels += _channels("workspace", theirs, workspace.root)
    desktop = theirs.desktop if own.desktop is None else own.desktop
    if desktop is not False and _has_desktop():
        channels.append(
            Channel(name="desktop", kind="desktop", on=theirs.on if own.on is None else own.on)
        )
    elif desktop:
        problems.append("desktop: no notify-send on PATH, or no session to show it in")
    floor = own.hang_floor if theirs.hang_floor is None else theirs.hang_floor
    return Settings(
        channels=tuple(channels),
        problems=tuple(problems),
        hang_floor=HANG_FLOOR if floor is None else floor,
    )


def digest_of_notify(root: Path, config: NotifyConfig) -> str | None:
    """Hash of what would run: command and URLs, and files of the workspace that the command names.

    None if nothing would.
    """
    if not config.command and not config.apprise:
        return None
    parts = [("", json.dumps([config.command, config.apprise]).encode())]
    for word in config.command:
        file = root / word
        if "\0" not in word and file.is_file() and file.resolve().is_relative_to(root.resolve()):
            parts.append((word, file.read_bytes()))
    return trust.digest_of(parts)


def _read(path: Path, problems: list[str]) -> NotifyConfig:
    try:
        config = notify_config(path)
    except (ExpError, OSError) as error:
        problems.append(str(error))
        return NotifyConfig()
    problems += [
        f"{path}: notify.apprise holds a credential in plain text; write $NAME and export NAME"
        for url in config.apprise
        if _gives_away(url)
    ]
    return config


def _acts(workspace: Workspace, config: NotifyConfig, problems: list[str]) -> bool:
    """Whether the command and URLs of a workspace may act."""
    root = workspace.root
    try:
        digest = digest_of_notify(root, config)
        if digest is None or trust.is_trusted(root, SUBJECT, digest):
            return True
    except (ExpError, OSError) as error:
        problems.append(f"the trust of [notify] cannot be told: {error}")
        return False
    problems.append(
        f"[notify] of {root / 'exp.toml'} is not trusted and does not act: "
        f"look at it, then exp trust {root}"
    )
    return False


def _channels(whose: str, config: NotifyConfig, cwd: Path) -> Iterator[Channel]:
    more: dict[str, Any] = {"cwd": str(cwd), "on": config.on}
    if config.command:
        yield Channel(name=f"{whose} command", kind="command", target=config.command, **more)
    for number, url in enumerate(config.apprise, 1):
        yield Channel(name=f"{whose} apprise {number}", kind="apprise", target=(url,), **more)


def _has_desktop() -> bool:
    session = any(os.environ.get(name) for name in _SCREENS)
    return session and shutil.which("notify-send") is not None


def _gives_away(url: str) -> bool:
    """Whether a literal URL seems to hold a password or a token."""
    if url.startswith("$"):
        return False
    return bool(_PASSWORD.search(url) or _TOKEN.search(url.partition("://")[2]))
