"""A line taken apart before it is read: markup, result notes, remarks in parentheses."""

import re
from dataclasses import dataclass

_MARKER = re.compile(r"^\s*(?:[-*+•\u2013]|\d{1,3}[.)])\s+(?=\S)")
_BOX = re.compile(r"^\s*\[[ xX~-]?\]\s+")
_EMOJI = re.compile(
    r"[\u2705\u274c\u2611\u2714\u2713\u26a0\ufe0f\u2b50\u2610\U0001f389\U0001f3af\U0001f534"
    r"\U0001f680\U0001f7e0-\U0001f7eb]"
)
# Full-width forms of the signs that the grammar knows, and dashes and spaces that look alike.
_ALARM = re.compile(r"^\W*?[\u274c\u26a0\U0001f534\U0001f7e0\U0001f7e1]")
_WIDE = str.maketrans(
    {
        "\uff08": "(",
        "\uff09": ")",
        "\uff1a": ": ",
        "\uff0c": ", ",
        "\uff1b": "; ",
        "\uff1e": ">",
        "\uff1c": "<",
        "\uff05": "%",
        "\u00a0": " ",
        "\u2011": "-",
    }
)
_PREDICATE = re.compile(r"<!--\s*exp:(?!begin\b|end\b)(.*?)-->", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_DASH = re.compile(r"\s+(?:[-\u2013\u2014]|--)\s+")
_CODE = re.compile(r"`[^`\n]*`")
_BLANK_TO_FILL = re.compile(r"_{2,}\s*%?")
_COMPARES = re.compile(
    r"[<>≤≥]|(?<![\w.])[~≈=]\s*\d|\b(?:at least|at most|less than|more than|no more than|below|"
    r"above|under|over|exceeds?|reaches|up to|between)\s+[\d.]|\d\s*%?\s*[-\u2013]\s*\d[\d.]*\s*%",
    re.IGNORECASE,
)
_RESULT = re.compile(
    r"^\W*(?:achieved|actual|actually|got|reached|results?|currently|current|now|was|were|"
    r"measured|observed|finished|done|completed|confirmed|verified|see|run|R-\d+|down from|"
    r"up from|pass(?:ed)?\b|failed|[\w@/.-]+\s*[=:]\s*-?\d)",
    re.IGNORECASE,
)
_SCOPES = re.compile(
    r"\b(?:on|for|in|at|by|after|before|within|until|during|over|only|each|every|all|any|per|"
    r"averaged?|mean|median|p\d\d|best|final|if|unless|when|except|excluding|across|consecutive|"
    r"ep|epochs?|expected|steps?|seeds?|iterations?|episodes?|baseline|vs|relative|than|both|"
    r"either|or|and|"
    r"train|val|validation|eval|test|dev|macro|micro|weighted|"
    r"max|min|std|not|display|minutes|hours|days)\b|\b[A-Za-z]+\d|\d[A-Za-z]|[\u00d7±→]",
    re.IGNORECASE,
)
_GENERIC_LABEL = re.compile(
    r"^(?:targets?|goals?|gate|success(?: criteri(?:on|a))?|deliverable|expected|must|hypothesis|"
    r"minimum|criteri(?:on|a)|requirement|目標)\s*:\s*",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(r"\s+(?:indicates?|meaning|which (?:means|shows)|suggests?)\b.*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The parts of a line.

    `claim` is what stands outside parentheses and notes; `inner` the parenthesis that holds the
    only comparison, if the claim has none; `remarks` the other parentheses; `note` what people
    appended as a result; `scoped` a remark or tail that may narrow the claim.
    """

    claim: str
    inner: str | None
    remarks: tuple[str, ...]
    note: str | None
    scoped: str | None
    predicates: tuple[str, ...]


def take_apart(text: str) -> Line:
    """Split a line of a ticket into claim, remarks, notes and explicit predicates."""
    predicates = tuple(found.strip() for found in _PREDICATE.findall(text))
    clean = _bare(_COMMENT.sub(" ", text))
    claim, tail = _cut_tail(clean)
    claim, groups = _cut_groups(claim)
    claim = _GENERIC_LABEL.sub("", claim)
    explained = _EXPLAINS.search(claim)
    if explained and compares(claim[: explained.start()]):
        groups.append(explained[0].strip())
        claim = claim[: explained.start()]
    claim = claim.strip(" .;,:")
    inner = None
    if not compares(claim):
        tests = [group for group in groups if compares(group) and not _RESULT.match(group)]
        inner = _GENERIC_LABEL.sub("", tests[0]) if len(tests) == 1 else None
        groups = [group for group in groups if group not in tests] if inner else groups
    notes = [group for group in groups if _RESULT.match(group)]
    remarks = [group for group in groups if group not in notes]
    if tail is not None and _RESULT.match(tail):
        notes.append(tail)
    elif tail is not None:
        remarks.append(tail)
    scoped = next((remark for remark in remarks if _SCOPES.search(remark)), None)
    if alarm := _ALARM.match(text):
        scoped = alarm[0].strip()
    return Line(
        claim=claim,
        inner=inner,
        remarks=tuple(remarks),
        note="; ".join([*notes, *remarks]) or None,
        scoped=scoped,
        predicates=predicates,
    )


def compares(text: str) -> bool:
    """Whether a text holds a comparison outside its backticked paths."""
    return _COMPARES.search(_CODE.sub(_hide_path, text)) is not None


def _hide_path(code: re.Match[str]) -> str:
    return code[0] if re.search(r"\s[<>≤≥=]", code[0]) else "x"


def _bare(text: str) -> str:
    """The text without list marker, box, emphasis, emoji and table bars."""
    text = " ".join(text.translate(_WIDE).split())
    text = _BOX.sub("", _MARKER.sub("", text))
    text = " ".join(_EMOJI.sub(" ", text).split())
    text = _MARKER.sub("", _row(text))
    text = _CODE.sub(_unwrap_test, text)
    text = "".join(
        part if part.startswith("`") else part.replace("**", "").replace("\u2014", " \u2014 ")
        for part in re.split(r"(`[^`\n]*`)", text)
    )
    return " ".join(_BLANK_TO_FILL.sub(" ", text).split())


def _unwrap_test(code: re.Match[str]) -> str:
    """`sub_loss < 7.2` in backticks is a test, not a name."""
    inside = code[0].strip("`")
    return inside if re.search(r"[\w)]\s*(?:[<>≤≥]=?|==)\s*-?[\d.]", inside) else code[0]


def _row(text: str) -> str:
    """`| accuracy | ≥ 90% | why |` → `accuracy ≥ 90%`: a cell, then one that compares.

    Several cells with numbers (current and target) cannot be told apart: such a row is left.
    """
    if not (text.startswith("|") and text.endswith("|")):
        return text
    cells = [cell.strip() for cell in text.strip("|").split("|")]
    others = [cells[0], *cells[2:]]
    if len(cells) < 2 or any(compares(cell) or re.search(r"(?<!\w)\d", cell) for cell in others):
        return text
    if re.match(r"\**\s*(?:[<>≤≥]|\d[\d.]*\s*%?\s*[-\u2013]\s*\d)", cells[1]):
        return f"{cells[0]} {cells[1]}"
    return text


def _cut_tail(text: str) -> tuple[str, str | None]:
    """The text before the dash that starts a remark, and the remark."""
    shown = _CODE.sub(lambda code: "x" * len(code[0]), text)
    for found in _DASH.finditer(shown):
        before, after = shown[: found.start()], shown[found.end() :]
        if before.count("(") > before.count(")"):
            continue
        if re.match(r"[\d.]", after) and re.search(r"[\d.%]$", before):
            continue  # "80 - 90%" is a range
        if compares(after) and not compares(before):
            continue
        return text[: found.start()], text[found.end() :]
    return text, None


def _cut_groups(text: str) -> tuple[str, list[str]]:
    """The text without its parentheses, and what they held; backticks are left alone."""
    outside: list[str] = []
    groups: list[str] = []
    for part in re.split(r"(`[^`\n]*`|\([^()]*\))", text):
        if part.startswith("(") and part.endswith(")"):
            groups.append(part[1:-1].strip())
            outside.append(" ")
        else:
            outside.append(part)
    return " ".join("".join(outside).split()), groups
