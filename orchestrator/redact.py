"""What must not leave the machine: secrets, home folders, host names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")

SECRET = "<secret>"  # noqa: S105 - what stands in a secret's place
HOST = "<host>"

# Names whose value is a secret. A tokenizer's tokens (`pad_token`) and counts (`tokens`) are none.
_SECRET_NAME = re.compile(
    r"""(?ix)
    (?! .*(?:pad|bos|eos|unk|mask|sep|cls|image|special|next|last|first|per)[_\-]token$ )
    (?: (?:.*[_\-.])?
        (?: api[_\-]?key | access[_\-]?key(?:[_\-]?id)? | secret(?:[_\-]?(?:access[_\-]?)?key)?
          | private[_\-]?key | auth[_\-]?key | token | passwd | password | passphrase | pwd
          | credentials? )
      | [a-z0-9]+(?:apikey|password|secret) )
    """
)
_VALUE = r"""(?P<value>"[^"\n]{3,}"|'[^'\n]{3,}'|[^\s"',;&|)}\]]{3,})"""
# The end of a name tells; without a bound, a word of a megabyte would take hours.
_ASSIGNMENT = re.compile(
    rf"""(?P<name>[A-Za-z][\w.\-]{{0,60}})["']?[ \t]?[=:][ \t]{{0,2}}{_VALUE}"""
)
_FLAG = re.compile(rf"(?<![\w-])--?(?P<name>[A-Za-z][\w.\-]*)[ \t]+(?!-){_VALUE}")
_NO_SECRET = re.compile(r"\$\{?\w+\}?|<\w+>|\*+|none|null|true|false", re.IGNORECASE)
_NUMBER = re.compile(r"[\d.,eE+\-_]+")
_TOKENS = re.compile(
    r"""(?x)
    \b(?: sk-(?:ant-|proj-)?[A-Za-z0-9_\-]{16,}      # model providers
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w\-]{16,}
      | hf_[A-Za-z0-9]{16,} | pypi-[\w\-]{16,} | npm_[A-Za-z0-9]{20,} | dckr_pat_[\w\-]{16,}
      | xox[abeoprs]-[\w\-]{10,} | AIza[\w\-]{30,} | (?:AKIA|ASIA)[A-Z0-9]{16}
      | eyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]{4,}        # JSON web token
      | (?:r8|rk|pk|sk)_(?:live|test)?_?[A-Za-z0-9]{24,} )
    """
)
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?|"
    r"\bbearer\s+|\bcookie:\s*|\bx-api-key:\s*)([^\s\"',]{6,})"
)
_URL_USER = re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]+(?=@)")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END[^\n]*-----|\Z)", re.DOTALL
)
_HOME = re.compile(r"(?<![\w.~-])(?:/(?:home|Users)/[^/\s:;,'\"`|()<>\[\]]+|/root(?![\w.-]))")


def redact(
    text: str, hosts: Iterable[str] = (), home: str | None = None, values: Iterable[str] = ()
) -> str:
    """Replace secrets by `<secret>`, home folders by `~` and these host names by `<host>`.

    `values` are secrets that are known, the longest first: they go wherever they stand.
    """
    for value in values:
        text = text.replace(value, SECRET)
    text = _PRIVATE_KEY.sub(SECRET, text)
    text = _URL_USER.sub(SECRET, text)
    text = _HEADER.sub(lambda match: match[1] + SECRET, text)
    text = _TOKENS.sub(SECRET, text)
    text = _FLAG.sub(_without_value, text)
    text = _ASSIGNMENT.sub(_without_value, text)
    if home and len(home.rstrip("/")) > 1:
        text = re.sub(rf"(?<![\w.~-]){re.escape(home.rstrip('/'))}(?![\w.-])", "~", text)
    text = _HOME.sub("~", text)
    hosts = tuple(hosts)
    for host in filter(None, hosts):
        text = _of_events(host).sub(HOST, text)
    for host in sorted(_host_names(hosts), key=lambda name: (-len(name), name)):
        text = _host_pattern(host).sub(HOST, text)
    return text


def _of_events(host: str) -> re.Pattern[str]:
    """A host in the name of a file of events, where it is one whatever it looks like."""
    return re.compile(rf"(?<=\bevents-){re.escape(host)}(?=-(?:\d+|shim)-\d)", re.IGNORECASE)


def _host_pattern(host: str) -> re.Pattern[str]:
    """A host name as a word of its own; one that no sentence holds also between dashes."""
    edge = r"\w" if re.search(r"[\d.-]", host) else r"\w./-"
    return re.compile(rf"(?<![{edge}]){re.escape(host)}(?![{edge}])", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a secret, as in `WANDB_API_KEY` or `hf.token`."""
    return _SECRET_NAME.fullmatch(name) is not None


def _without_value(match: re.Match[str]) -> str:
    if not _gives_away(match["name"], match["value"].strip("\"'")):
        return match[0]
    return match[0][: match.start("value") - match.start()] + SECRET


def _gives_away(name: str, value: str) -> bool:
    if not is_secret_name(name) or _NO_SECRET.fullmatch(value):
        return False
    # `tokens` are counted everywhere in this trade; a password of digits is still a password.
    return not (name.lower().endswith("token") and _NUMBER.fullmatch(value))


def _host_names(hosts: Iterable[str]) -> set[str]:
    """The names and, where they cannot be taken for a word, their first labels."""
    names = {host for host in hosts if len(host) > 2 and host != "localhost"}
    labels = {host.split(".")[0] for host in names}
    return names | {label for label in labels if len(label) > 2 and re.search(r"[\d-]", label)}


def redacted(
    value: T, hosts: Iterable[str] = (), home: str | None = None, values: Iterable[str] = ()
) -> T:
    """The same tree of dataclasses, sequences and mappings with every text redacted.

    Also where name and value stand apart: an entry of a mapping, a flag before its argument.
    """
    names, known = tuple(hosts), tuple(values)

    def walk(item: Any, name: str = "") -> Any:
        if isinstance(item, str) and not isinstance(item, Enum):
            return SECRET if _gives_away(name, item) else redact(item, names, home, known)
        if is_dataclass(item) and not isinstance(item, type):
            return replace(item, **{f.name: walk(getattr(item, f.name)) for f in fields(item)})
        if isinstance(item, Mapping):
            return {walk(key): walk(each, str(key)) for key, each in item.items()}
        if isinstance(item, list | tuple):
            before = ["", *item]
            return type(item)(walk(e, _flag(b)) for b, e in zip(before, item, strict=False))
        return item

    result: T = walk(value)
    return result


def _flag(word: Any) -> str:
    return word.lstrip("-") if isinstance(word, str) and word.startswith("-") else ""
