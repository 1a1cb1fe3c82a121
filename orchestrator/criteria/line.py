"""A line taken apart before it is read: markup, result notes, remarks in parentheses."""

import re
from dataclasses import dataclass

from orchestrator.criteria.pieces import pieces_of
from orchestrator.criteria.syntax import NotReadError
from orchestrator.criteria.table import row_claim

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
_STATUS = re.compile(
    r"^(?:pass(?:ed)?|fail(?:ed)?|miss(?:ed)?|done|todo|wip|met|not met|hit)\s*[\u2014\u2013:-]\s+",
    re.IGNORECASE,
)
_NAMES = re.compile(r"(?!\d)[\w@/.%-]+(?: [\w@/-]+){0,2}")
_SENTENCE = re.compile(r"(?<=[\w%)\]`])\.\s+(?=[A-Z*_`])")
_EMPHASIS = re.compile(r"(?<![/\w])\*+(?=\S)|(?<=[^\s/])\*+(?![\w/])")
_SAYS = re.compile(r"\b(?:print|show|display|contain|say|output)s?\b.*[\"\u201c]", re.IGNORECASE)
_COMMAND = re.compile(r"`[\w./-]+ [^`]+`")
_RESULT = re.compile(
    r"^\W*(?:achieved|actual|actually|got|reached|results?|currently|current|now|was|were|"
    r"measured|observed|finished|done|completed|confirmed|verified|see|run|R-\d+|down from|"
    r"up from|pass(?:ed)?\b|failed|[\w@/.-]+\s*[=:]\s*-?\d)",
    re.IGNORECASE,
)
# A remark that begins like this narrows the test and is read with it.
_NARROWS = re.compile(
    r"^(?:on|for|in|at|by|after|before|within|during|over|per|across|each|every|using|under|with)\b",
    re.IGNORECASE,
)
# A remark that changes the test in a way that cannot be read with it.
_CHANGES = re.compile(
    r"\b(?:averaged?|mean of|median|smoothed|moving|rolling|p\d\d|std|unless|except|excluding|"
    r"only (?:if|on|for|when|in|with)|if|best of|relative|absolute|consecutive|top[- ]\d|either|depending|macro|micro|"
    r"weighted|not counting)\b",
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
    only comparison, if the claim has none; `narrowing` those of the `remarks` that narrow the
    claim and are read with it; `tail` what follows a dash and is no result; `note` what people appended as a result or a remark; `scoped` a remark that
    changes the test in a way that cannot be read; `alarm` says that the line begins with a
    warning sign.
    """

    claim: str
    inner: str | None
    narrowing: tuple[str, ...]
    remarks: tuple[str, ...]
    tail: str | None
    note: str | None
    scoped: str | None
    alarm: bool
    predicates: tuple[str, ...]


def take_apart(text: str) -> Line:
    """Split a line of a ticket into claim, remarks, notes and explicit predicates."""
    predicates = tuple(found.strip() for found in _PREDICATE.findall(text))
    clean = _bare(_COMMENT.sub(" ", text))
    clean, more = _first_sentence(clean)
    claim, tail = _cut_tail(_STATUS.sub("", clean))
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
    remarks = [group for group in groups if group not in notes] + more
    if tail is not None and _RESULT.match(tail):
        notes.append(tail)
    elif tail is not None:
        remarks.append(tail)
    scoped = next((remark for remark in remarks if _CHANGES.search(remark)), None)
    narrowing = tuple(
        remark for remark in remarks if _NARROWS.match(remark) and not compares(remark)
    )
    if inner is None and not compares(claim):
        commands = [group for group in groups if _COMMAND.fullmatch(group)]
        claim = f"{claim}: {commands[0]}" if len(commands) == 1 else claim
    return Line(
        claim=claim,
        inner=inner,
        narrowing=narrowing,
        remarks=tuple(remarks),
        tail=tail if tail is not None and not _RESULT.match(tail) else None,
        note="; ".join([*notes, *remarks]) or None,
        scoped=scoped,
        alarm=_ALARM.match(text) is not None,
        predicates=predicates,
    )


def _first_sentence(text: str) -> tuple[str, list[str]]:
    """The one sentence that compares, and the others as remarks; the whole text otherwise."""
    sentences = _SENTENCE.split(text)
    tests = [sentence for sentence in sentences if compares(sentence)]
    if len(sentences) < 2 or len(tests) != 1 or sentences[0] != tests[0]:
        return text, []
    return tests[0], sentences[1:]


def compares(text: str) -> bool:
    """Whether a text holds a comparison outside its backticks."""
    try:
        return any(piece.kind in {"test", "op", "much"} for piece in pieces_of(text))
    except NotReadError:
        return False


def _bare(text: str) -> str:
    """The text without list marker, box, emphasis, emoji and table bars."""
    text = " ".join(text.translate(_WIDE).split())
    text = _BOX.sub("", _MARKER.sub("", text))
    text = " ".join(_EMOJI.sub(" ", text).split())
    text = _MARKER.sub("", row_claim(text))
    text = _CODE.sub(_unwrap_test, text)
    text = "".join(
        part if part.startswith("`") else _EMPHASIS.sub("", part).replace("\u2014", " \u2014 ")
        for part in re.split(r"(`[^`\n]*`)", text)
    )
    return " ".join(_BLANK_TO_FILL.sub(" ", text).split())


def _unwrap_test(code: re.Match[str]) -> str:
    """`sub_loss < 7.2` in backticks is a test, not a name."""
    inside = code[0].strip("`")
    return inside if re.search(r"[\w)]\s*(?:[<>≤≥]=?|==)\s*-?[\d.]", inside) else code[0]


def _cut_tail(text: str) -> tuple[str, str | None]:
    """The text before the dash that starts a remark, and the remark."""
    shown = _CODE.sub(lambda code: "x" * len(code[0]), text)
    for found in _DASH.finditer(shown):
        before, after = shown[: found.start()], shown[found.end() :]
        if before.count("(") > before.count(")"):
            continue
        if re.match(r"[\d.]", after) and re.search(r"[\d.%]$", before):
            continue  # "80 - 90%" is a range
        if _RESULT.match(text[found.end() :]) and not _SAYS.search(text[found.end() :]):
            return text[: found.start()], text[found.end() :]
        if (compares(after) and not compares(before)) or _SAYS.search(text[found.end() :]):
            continue
        return text[: found.start()], text[found.end() :]
    return text, None


def _cut_groups(text: str) -> tuple[str, list[str]]:
    """The text without its parentheses, and what they held; backticks are left alone.

    What stands in parentheses before the number belongs to the name: `F1 (macro) > 0.7`.
    """
    outside: list[str] = []
    groups: list[str] = []
    parts = re.split(r"(`[^`\n]*`|\([^()]*\))", text)
    for position, part in enumerate(parts):
        if part.startswith("(") and part.endswith(")"):
            inside = part[1:-1].strip()
            before, after = "".join(parts[:position]), "".join(parts[position + 1 :])
            named = _NAMES.fullmatch(inside) and not compares(before) and compares(after)
            if not named:
                groups.append(inside)
            outside.append(f" {inside} " if named else " ")
        else:
            outside.append(part)
    return " ".join("".join(outside).split()), groups
