"""A line taken apart before it is read: markup, result notes, remarks in parentheses."""

import re
from dataclasses import dataclass

from orchestrator.criteria.lines.pieces import Piece, pieces_of
from orchestrator.criteria.lines.syntax import NotReadError
from orchestrator.criteria.lines.table import row_claim

_MARKER = re.compile(r"^\s*(?:[-*+•\u2013]|\d{1,3}[.)])\s+(?=\S)")
_BOX = re.compile(r"^\s*\[[ xX~-]?\]\s+")
_EMOJI = re.compile(
    r"[\u2705\u274c\u2611\u2714\u2713\u26a0\ufe0f\u2b50\u2610\U0001f389\U0001f3af\U0001f534"
    r"\U0001f680\U0001f6a8\U0001f6a9\U0001f7e0-\U0001f7eb]"
)
_ALARM = re.compile(
    r"^\W*?[\u274c\u26a0\U0001f534\U0001f6a8\U0001f6a9\U0001f7e0\U0001f7e1]|"
    r"^\W*(?:\[[ xX]\]\W*)?(?:warning|red flag|alarm|danger|caution)\s*:",
    re.IGNORECASE,
)
# Full-width forms of the signs that the grammar knows, and dashes and spaces that look alike.
_WIDE = str.maketrans(
    {
        "\uff08": " (",
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
    r"^(?:pass(?:ed)?|fail(?:ed)?|miss(?:ed)?|done|met|not met|hit)\s*[\u2014\u2013:-]\s+",
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
    r"only (?:if|on|for|when|in|with)|if|best of|relative|absolute|consecutive|top[- ]\d|either|"
    r"depending|macro|micro|weighted|not counting|ignoring|ema|avg|average|mean|seeds?|tolerance|"
    r"rank|temp|temperature|worst|folds?|cv|class(?:es)?|out of|optional|not required|n/a|"
    r"(?:first|last) \d+|ci)\b|[\u00b1?@]",
    re.IGNORECASE,
)
_GENERIC_LABEL = re.compile(
    r"^(?:targets?|goals?|gate|success(?: criteri(?:on|a))?|deliverable|expected|must|hypothesis|"
    r"warning|red flag|alarm|danger|caution|minimum|criteri(?:on|a)|requirement|目標)\s*:\s*",
    re.IGNORECASE,
)
_VERBATIM = re.compile(r"(\"[^\"]*\"|`[^`\n]*`)")
_GROUP = re.compile(r"(`[^`\n]*`|(?<!\w)\([^()]*\))")
# "(train)", "(arc1 subset)": what was measured on, said without a preposition.
_ON = re.compile(
    r"(?:[\w-]+ )?(?:train|val|valid|validation|test|eval|dev|subset|split|set)(?: set)?",
    re.IGNORECASE,
)
_LISTED = re.compile(r"(?:\band|\bor|,|&|;)\s*$", re.IGNORECASE)
_MOST_GROUPS = 8  # parentheses beyond which a line is not looked at in that detail
_EDGES = " .;,:"
_BAD = re.compile(r"diverg|fail|bad|overfit|collaps|broken|wrong|problem|stop|abort", re.IGNORECASE)
_EXPLAINS = re.compile(r"\s+(?:indicates?|meaning|which (?:means|shows)|suggests?)\b.*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The parts of a line.

    `claim` is what stands outside parentheses and notes; `inner` the parenthesis that holds the
    only comparison, if the claim has none; `narrowing` those of the `remarks` that narrow the
    claim and are read with it; `note` what people appended as a result or a remark; `scoped` a
    remark that changes the test in a way that cannot be read; `alarm` says that the line begins
    with a warning sign.
    """

    claim: str
    inner: str | None
    narrowing: tuple[str, ...]
    remarks: tuple[str, ...]
    note: str | None
    scoped: str | None
    alarm: bool
    predicates: tuple[str, ...]


def take_apart(text: str) -> Line:
    """Split a line of a ticket into claim, remarks, notes and explicit predicates."""
    first, more = _first_sentence(_bare(_COMMENT.sub(" ", text)))
    before, tail = _cut_tail(_STATUS.sub("", first))
    outside, groups = _cut_groups(before)
    claim, explanation = _cut_explanation(_GENERIC_LABEL.sub("", outside))
    groups += explanation
    inner = None
    if not compares(claim):
        inner, groups = _cut_test(groups)
        claim = _with_command(claim, groups) if inner is None else claim
    notes = [part for part in (*groups, *tail) if _RESULT.match(part)]
    remarks = [part for part in (*groups, *more, *tail) if part not in notes]
    return Line(
        claim=claim,
        inner=inner,
        narrowing=tuple(
            f"on {remark}" if _ON.fullmatch(remark) else remark
            for remark in remarks
            if (_NARROWS.match(remark) and not compares(remark)) or _ON.fullmatch(remark)
        ),
        remarks=tuple(remarks),
        note="; ".join([*notes, *remarks]) or None,
        scoped=next((remark for remark in remarks if _changes(remark, claim, groups)), None),
        alarm=_ALARM.match(text) is not None,
        predicates=tuple(found.strip() for found in _PREDICATE.findall(text)),
    )


def _changes(remark: str, claim: str, groups: list[str]) -> bool:
    """Whether a remark may change the test: a second test behind a dash, one of several names."""
    if _CHANGES.search(remark) or (remark not in groups and compares(remark)):
        return True
    return _NAMES.fullmatch(remark) is not None and _tests(claim) > 1


def compares(text: str) -> bool:
    """Whether a text holds a comparison outside its backticks."""
    return any(piece.kind in {"test", "op", "much"} for piece in _pieces(text))


def _tests(text: str) -> int:
    return sum(piece.kind == "test" for piece in _pieces(text))


def _pieces(text: str) -> tuple[Piece, ...]:
    """The pieces of a text; none of one that holds no pieces at all."""
    try:
        return pieces_of(text)
    except NotReadError:
        return ()


def _first_sentence(text: str) -> tuple[str, list[str]]:
    """The one sentence that compares, and the others as remarks; the whole text otherwise."""
    sentences = _SENTENCE.split(text)
    tests = [sentence for sentence in sentences if compares(sentence)]
    if len(sentences) < 2 or len(tests) != 1 or sentences[0] != tests[0]:
        return text, []
    return tests[0], sentences[1:]


def _bare(text: str) -> str:
    """The text without list marker, box, emphasis, emoji and table bars."""
    text = " ".join(text.translate(_WIDE).split())
    text = _BOX.sub("", _MARKER.sub("", text))
    text = " ".join(
        "".join(
            part if part[:1] in {'"', "`"} else _EMOJI.sub(" ", part)
            for part in _VERBATIM.split(text)
        ).split()
    )
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


def _cut_tail(text: str) -> tuple[str, list[str]]:
    """The text before the dash that starts a remark, and the remark if there is one."""
    shown = _CODE.sub(lambda code: "x" * len(code[0]), text)
    for found in _DASH.finditer(shown):
        before, tail = shown[: found.start()], text[found.end() :]
        if before.count("(") > before.count(")"):
            continue
        if re.match(r"[\d.]", tail) and (re.search(r"[\d.%]$", before) or compares(before)):
            continue  # "80 - 90%" is a range, "a > b - 0.05" arithmetic
        if _SAYS.search(tail):
            continue  # the claim itself: `- shows "DONE"`
        if _RESULT.match(tail) or compares(before) or not compares(shown[found.end() :]):
            return text[: found.start()], [tail]
    return text, []


def _cut_groups(text: str) -> tuple[str, list[str]]:
    """The text without its parentheses, and what they held; backticks are left alone.

    What stands in parentheses before the number belongs to the name: `F1 (macro) > 0.7`.
    """
    outside: list[str] = []
    groups: list[str] = []
    many = text.count("(") > _MOST_GROUPS
    parts = _GROUP.split(text)
    for position, part in enumerate(parts):
        if part.startswith("(") and part.endswith(")"):
            inside = part[1:-1].strip()
            before, after = "".join(parts[:position]), "".join(parts[position + 1 :])
            named = (
                not many and _NAMES.fullmatch(inside) and not compares(before) and compares(after)
            )
            # "loss < 2 and (div < 3)" is a list, not a remark.
            named = named or (_LISTED.search(before) is not None and compares(inside))
            if not named:
                groups.append(inside)
            outside.append(f" {inside} " if named else " ")
        else:
            outside.append(part)
    return " ".join("".join(outside).split()), groups


def _cut_explanation(claim: str) -> tuple[str, list[str]]:
    """`loss < 2, which means it learns`: the words after the test only explain it."""
    found = _EXPLAINS.search(claim)
    if found is None or _BAD.search(found[0]) or not compares(claim[: found.start()]):
        return claim.strip(_EDGES), []
    return claim[: found.start()].strip(_EDGES), [found[0].strip()]


def _cut_test(groups: list[str]) -> tuple[str | None, list[str]]:
    """The one parenthesis that compares, and the other ones."""
    tests = [group for group in groups if compares(group) and not _RESULT.match(group)]
    if len(tests) != 1:
        return None, groups
    return _GENERIC_LABEL.sub("", tests[0]), [group for group in groups if group not in tests]


def _with_command(claim: str, groups: list[str]) -> str:
    """`Tests pass (`make test`)`: the command that the claim is about."""
    commands = [group for group in groups if _COMMAND.fullmatch(group)]
    return f"{claim}: {commands[0]}" if len(commands) == 1 else claim
