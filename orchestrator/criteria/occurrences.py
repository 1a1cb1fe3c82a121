"""Claims without a number: that something happened, did not happen, or lies there."""

import re
from collections.abc import Callable, Sequence

from orchestrator.criteria.asking import ask, declare, person
from orchestrator.criteria.moments import anchor_of
from orchestrator.criteria.pieces import Piece, Test
from orchestrator.criteria.values import ABOUT
from orchestrator.criteria.vocabulary import (
    ARTICLES,
    AUTHENTIC,
    BUILDS,
    CHECKPOINTS,
    COMPLETES,
    CONDITIONS,
    EVALUATING,
    EXISTS,
    FALLING,
    HAZARD_WORDS,
    HAZARDS,
    INCIDENTS,
    LAUNCHED,
    LEADS,
    MODALS,
    OTHER_TRENDS,
    PASSES,
    PREPOSITIONS,
    PRINTS,
    RELEASED,
    REPORTS,
    RESOURCES,
    RISING,
    RUNS,
    SEARCHED,
    STORAGE,
    SUCCESSFULLY,
    TRAINING,
    UNNAMED,
    VAGUE,
    is_metric_like,
    words_of,
)
from orchestrator.domain.criterion import Clause, Kind, Subject

Clauses = tuple[Clause, ...]

_NO = words_of("no zero without 0 never free not none sin ohne sans sem senza без 无 kein keine")
_PATH = re.compile(r"[^\s()<>=]*(?:\.[A-Za-z][A-Za-z0-9]{0,7}|/|\*[^\s()<>=]*)")
_COMMAND = re.compile(r"(?:make|python3?|uv|pytest|ruff|mypy|bash|sh|ls|test|stat|pip|poetry|cargo|npm|"
                      r"docker|kubectl|torchrun|\.{0,2}/\S+)\s+\S|pytest$|make$")  # fmt: skip
_EXPRESSION = re.compile(r"[\w.]+\([^`]*\)")
_FILE = re.compile(r"[\w./*-]*[\w*]\.(?:csv|jsonl?|pth?|onnx|md|png|svg|ckpt|safetensors|ya?ml|txt|npz|npy|"
                   r"pkl|h5|tflite|gguf|parquet|bin|joblib|log|html|pdf)")  # fmt: skip
_WHOLE = words_of("and it is are be to the a an in on at of for with successfully run runs after "
                  "training correctly")  # fmt: skip


def occurrence_clauses(pieces: Sequence[Piece]) -> Clauses:
    """Read a claim that holds no comparison.

    Raises Question where it is no claim about the run, or leaves something open.
    """
    text = " ".join(piece.text for piece in pieces)
    words = [piece.word for piece in pieces]
    if set(words) & AUTHENTIC:
        raise person("a claim about where something came from: a file or a number proves nothing")
    if "until" in words:
        raise person("until when? A test states a bound")
    for reader in _READERS:
        clauses = reader(pieces, words, text)
        if clauses:
            return clauses
    if any(word in VAGUE for word in words):
        vague = next(word for word in words if word in VAGUE)
        raise person(f"{vague!r} has no measure; name a metric and a bound")
    raise person("nothing measurable is named; a person decides")


def hazard_clause(hazard: str, series: str | None = None) -> Clause:
    """`no nan` over all series or those of a glob; `no oom`, `no crash`, `no error` over logs."""
    if hazard in {"nan", "inf"}:
        return Clause(subject=Subject.METRIC, metric=series, op="absent", unit=hazard,
                      aggregate="all")  # fmt: skip
    return Clause(subject=Subject.LOG, metric=hazard, op="absent")


# ------------------------------------------------------------------ absence
def _absence(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`No NaN in losses`, `zero errors`, `training runs without crash`."""
    start = next((i for i, word in enumerate(words) if word in _NO), None)
    free = re.search(r"\b(?:error|nan|crash|oom)-free\b", text, re.IGNORECASE)
    if free is not None:
        return (hazard_clause(free[0].casefold().split("-")[0]),)
    if start is None:
        return ()
    head, tail = list(words[:start]), list(words[start + 1 :])
    found = hazards_in(" ".join(tail))
    if not found:
        return _incident(head, tail)
    if words[start] in {"not", "never"}:
        raise ask("write what must be absent as `no …`", Kind.EVENT_ABSENCE)
    strange = [word for word in tail if word not in HAZARD_WORDS | SEARCHED and word.isalnum()]
    if strange:
        raise ask(f"where to look for it is unclear: {' '.join(strange)!r}", Kind.EVENT_ABSENCE,
                  tuple(hazard_clause(name) for name in found))  # fmt: skip
    lost = set(tail) & {"loss", "losses"}
    clauses = tuple(hazard_clause(name, "*loss*" if lost and name in {"nan", "inf"} else None)
                    for name in found)  # fmt: skip
    return (*_what_ran(head, clauses), *clauses)


def hazards_in(text: str) -> list[str]:
    """The hazards that a text names; "OOM errors" are one thing."""
    found = [name for pattern, name in HAZARDS if pattern.search(text)]
    if "error" in found and re.search(
        r"\b(?:nan|inf|oom|memory)\S* errors?\b", text, re.IGNORECASE
    ):
        found.remove("error")
    return found


def _what_ran(head: list[str], absent: Clauses) -> Clauses:
    """What stands before `without errors`: that the training ran, or another program's work."""
    words = {word for word in head if word not in LEADS | MODALS | ARTICLES and word.isalnum()}
    if words & COMPLETES and words & (TRAINING | EVALUATING):
        phase = "eval" if words & EVALUATING and not words & {"training", "train"} else "train"
        return (Clause(subject=Subject.EVENT, metric=phase, op="exists"),)
    named = {word for word in words if not word.isdigit()} - {"phase", "stage"}
    if named <= TRAINING | EVALUATING | RUNS | COMPLETES | UNNAMED | SEARCHED:
        return ()
    raise declare(
        f"{' '.join(head)!r} is the work of which command? Write it as `command`", Kind.COMMAND_PASSES,
        (Clause(subject=Subject.EXIT, metric="exit_code", op="==", value=0.0),),
    )  # fmt: skip


def _incident(head: list[str], tail: list[str]) -> Clauses:
    trends = [word for word in tail if word in OTHER_TRENDS | FALLING | RISING]
    named = " ".join(tail)
    if not tail or (head and not set(head) <= TRAINING | RUNS | LEADS | MODALS | UNNAMED):
        return ()
    if "improvement" in trends:
        raise declare("improvement of which metric, by how much, and over which window?", Kind.TREND,
                      (Clause(subject=Subject.METRIC, metric=None, op="no improvement",
                              aggregate="trend"),))  # fmt: skip
    if trends:
        raise ask(f"what counts as {trends[0]!r}? Name a metric, a bound and a window", Kind.TREND)
    clause = Clause(subject=Subject.EVENT, metric=named, op="absent")
    if set(tail) & INCIDENTS:
        raise declare(f"which event or log line says {named!r}?", Kind.EVENT_ABSENCE, (clause,))
    raise ask(f"what shows {named!r}? Name an event, a log line or a metric", Kind.EVENT_ABSENCE,
              (clause,))  # fmt: skip


def hazard_alone(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`OOM errors` or `Loss is NaN`: a hazard that is named, without saying that it must not be."""
    found = hazards_in(text)
    rest = {word for word in words if word.isalnum()} - HAZARD_WORDS - SEARCHED - MODALS - ARTICLES
    if not found or rest - {"becomes", "goes", "turns", "happens", "during"}:
        return ()
    raise ask("is this a condition or an alarm? Write `no …`, or put it under a heading such as "
              "Warning signs", Kind.EVENT_ABSENCE, tuple(hazard_clause(name) for name in found))  # fmt: skip


# ------------------------------------------------------------------ commands and their output
def _output(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`Console shows "DONE"`, `should print "OK"`, `"SUCCESS" message`."""
    quoted = [piece.text.strip('"“”') for piece in pieces if piece.kind == "quoted"]
    if not quoted or not set(words) & PRINTS:
        return ()
    if set(words) & CONDITIONS:
        raise ask("must the text be there or not? Write `log contains` or `log lacks`",
                  Kind.COMMAND_PASSES)  # fmt: skip
    return tuple(
        Clause(subject=Subject.OUTPUT, metric="stdout", op="contains", other=text.strip())
        for text in quoted
    )


def _command(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`` `pytest -q` passes ``, `` `torch.cuda.is_available()` returns True ``."""
    codes = [piece.text.strip("`") for piece in pieces if piece.kind == "code"]
    if codes and "returns" in words:
        value = next((p.text for p in pieces[words.index("returns") + 1 :] if p.kind == "word"), "")
        module = codes[0].split(".")[0].split("(")[0]
        if _EXPRESSION.fullmatch(codes[0]) and value:
            command = f"python -c 'import {module}; print({codes[0]})'"
            return (Clause(subject=Subject.COMMAND, metric=command, op="prints", other=value),)
        raise ask("which command shows that?", Kind.COMMAND_PASSES)
    passes = set(words) & (PASSES | {"exits", "installed", "pass"})
    if len(codes) == 1 and (found := _written_command(codes[0], pieces)):
        return (found,)
    if codes and passes and not all(_PATH.fullmatch(code) for code in codes):
        verb = min(i for i, word in enumerate(words) if word in passes)
        named = [p.text.strip("`") for p in pieces[:verb] if p.kind == "code"] or codes
        return tuple(Clause(subject=Subject.COMMAND, metric=code, op="passes") for code in named)
    tests = set(words) & words_of("tests test checks suite ci lint linter build unit integration")
    if (tests and set(words) & PASSES) or (passes and codes):
        count = next((p.test for p in pieces if p.kind == "amount" and p.test), None)
        clause = Clause(subject=Subject.COMMAND, metric="tests", op="passes")
        kind = Kind.COMMAND_PASSES
        if count is not None:
            clause = Clause(subject=Subject.METRIC, metric="tests passed", op="==",
                            value=count.value, total=count.total, aggregate="latest")  # fmt: skip
            kind = Kind.COUNT_OR_PROGRESS if count.total is not None else kind
        raise declare("which command runs them? Write it in backticks", kind, (clause,))
    if set(words) & BUILDS and not set(words) & VAGUE and not codes:
        raise declare("which command loads it? Write it in backticks", Kind.COMMAND_PASSES,
                      (Clause(subject=Subject.EXIT, metric="exit_code", op="==", value=0.0),))  # fmt: skip
    return ()


def _written_command(code: str, pieces: Sequence[Piece]) -> Clause | None:
    """`Tests run: `make test``: a command after a colon, or alone, must pass."""
    last = pieces[-1].kind == "code" and (len(pieces) == 1 or pieces[-2].text == ":")
    if not last or not _COMMAND.match(code):
        return None
    if found := re.fullmatch(r"(?:test -[efs]|ls(?: -\w+)?|stat) (\S+)", code):
        return Clause(subject=Subject.FILE, metric=found[1], op="exists")
    return Clause(subject=Subject.COMMAND, metric=code, op="passes")


# ------------------------------------------------------------------ files and checkpoints
def _files(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`` `results/model.pt` exists ``, `` Model saved: `best.pt` ``, `` `m.json` in … folder ``."""
    paths = [
        piece.text.strip("`") for piece in pieces
        if (piece.kind == "code" and _PATH.fullmatch(piece.text.strip("`")))
        or (piece.kind == "word" and _FILE.fullmatch(piece.text))
    ]  # fmt: skip
    here = set(words) & EXISTS or {"folder", "directory"} & set(words)
    if not paths or not here:
        return ()
    if set(words) & (CONDITIONS | AUTHENTIC):
        raise ask("what else must hold of the file?", Kind.ARTIFACT_EXISTS)
    clauses = tuple(Clause(subject=Subject.FILE, metric=path, op="exists") for path in paths)
    if set(words) & (BUILDS | words_of("improvement replacement updated valid automatic")):
        raise declare("that it exists is not all of the claim; name a command for the rest",
                      Kind.ARTIFACT_EXISTS, clauses)  # fmt: skip
    writer = pieces[0].kind == "code" and {"writes", "generates", "produces"} & set(words)
    if writer and len(paths) > 1:
        clauses = clauses[1:]
        others = [w for w in words if w.isalnum() and w not in EXISTS | ARTICLES | _WHOLE]
        if others:
            raise declare("which files are these? Write every path in backticks",
                          Kind.ARTIFACT_EXISTS, clauses)  # fmt: skip
    return clauses


def _checkpoints(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`Checkpoints saved to disk`, `at least 3 checkpoint files exist` (see claims for counts)."""
    every = next((piece for piece in pieces if piece.kind == "every"), None)
    cited = set(words) & CHECKPOINTS
    if every is not None and (cited or set(words) & EXISTS):
        raise declare(
            "a cadence is not judged: write how many, `checkpoints >= N`", Kind.ARTIFACT_EXISTS,
            (Clause(subject=Subject.CHECKPOINT, metric="checkpoint", op="cadence",
                    value=every.moment.low if every.moment else None,
                    unit=f"{every.moment.unit}s" if every.moment else None),),
        )  # fmt: skip
    if (
        cited
        and len(pieces) > 1
        and not set(words) & (EXISTS | REPORTS | CONDITIONS | VAGUE | BUILDS)
    ):
        raise declare("that a checkpoint exists? Write `checkpoints exist`, or name its path",
                      Kind.ARTIFACT_EXISTS,
                      (Clause(subject=Subject.CHECKPOINT, metric="checkpoint", op="exists"),))  # fmt: skip
    if not cited or not set(words) & EXISTS:
        return ()
    if vague := set(words) & (VAGUE | CONDITIONS):
        raise ask(f"what does {min(vague)!r} ask of a checkpoint?", Kind.ARTIFACT_EXISTS)
    if set(words) & BUILDS:
        raise declare("which command loads it?", Kind.ARTIFACT_EXISTS,
                      (Clause(subject=Subject.CHECKPOINT, metric="checkpoint", op="exists"),))  # fmt: skip
    rest = {w for w in words if w.isalnum()} - CHECKPOINTS - EXISTS - STORAGE - MODALS - ARTICLES
    if rest - LEADS - TRAINING:
        raise declare(f"whether checkpoints are {' '.join(sorted(rest))!r} is not known; name a path",
                      Kind.ARTIFACT_EXISTS,
                      (Clause(subject=Subject.CHECKPOINT, metric="checkpoint", op="exists"),))  # fmt: skip
    return (Clause(subject=Subject.CHECKPOINT, metric="checkpoints", op="exists"),)


def artifact_unnamed(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`LoRA adapter saved`: something is left behind, its path is not said."""
    made = set(words) & (EXISTS - {"available", "present", "contains"})
    place = max((i for i, word in enumerate(words) if word in made), default=-1)
    ends = place >= 1 and (place == len(words) - 1 or words[place + 1] in PREPOSITIONS)
    if not ends or set(words) & (VAGUE | CONDITIONS) or len(words) > 8:
        return ()
    named = " ".join(w for w in words if w not in EXISTS | MODALS | ARTICLES | LEADS)
    raise declare("under which path? Write it in backticks", Kind.ARTIFACT_EXISTS,
                  (Clause(subject=Subject.FILE, metric=named or None, op="exists"),))  # fmt: skip


# ------------------------------------------------------------------ events
def _reported(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`Evaluation runs and reports pass@1 metric`, `pass@1 and pass@2 are logged`."""
    if not set(words) & REPORTS or any(piece.kind == "quoted" for piece in pieces):
        return ()
    scope = "evaluation" if words and words[0] in EVALUATING else None
    skipped = (REPORTS | MODALS | ARTICLES | LEADS | EVALUATING | TRAINING | RUNS
               | words_of("metric metrics and , to by in the wandb tensorboard mlflow w&b at with "
                          "console log logs file csv each every step epoch"))  # fmt: skip
    names = [
        piece.text.strip("`") for piece in pieces
        if piece.kind in {"word", "code"} and piece.word.strip("`") not in skipped
    ]  # fmt: skip
    if not names or set(words) & (VAGUE | CONDITIONS):
        return ()
    joined = any(piece.kind in {"and", "comma"} for piece in pieces)
    phrases = names if joined and all(map(is_metric_like, names)) else [" ".join(names)]
    if not all(map(is_metric_like, phrases)):
        if any(p.text == "+" for p in pieces) or "artifacts" in words or "model" in words:
            raise declare("which files or metrics are these? Name them", Kind.ARTIFACT_EXISTS)
        raise ask(f"is {phrases[0]!r} a metric? Write its key in backticks with 'metric'",
                  Kind.EVENT_PRESENCE)  # fmt: skip
    return tuple(
        Clause(subject=Subject.METRIC, metric=name, op="exists", qualifier=scope)
        for name in phrases
    )


def _finished(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`Training completes`, `evaluation runs`, `Epoch 300: training complete`."""
    bare = {w for w in words if w.isalnum()} - MODALS - ARTICLES - LEADS - {"and"}
    moment = next((piece.moment for piece in pieces if piece.moment is not None), None)
    if moment is not None:
        times = {w for p in pieces if p.moment for w in p.text.casefold().split()}
        rest = bare - times - RUNS - TRAINING - COMPLETES - SUCCESSFULLY - {"all", "of"}
        if rest or moment.low != moment.high or not bare & (RUNS | COMPLETES | TRAINING):
            return ()
        test = Test(op=">=", value=moment.high)
        if moment.about:
            test = Test(op="~=", value=moment.high, tolerance=ABOUT)
        return (progress_clause(moment.unit, test),)
    ended = bare & COMPLETES and bare <= TRAINING | EVALUATING | COMPLETES | SUCCESSFULLY | RUNS
    if ended and bare & EVALUATING:
        return (Clause(subject=Subject.EVENT, metric="eval", op="exists"),)
    if ended and bare & {"training", "train", "run", "job"}:
        return (Clause(subject=Subject.EVENT, metric="train", op="exists"),)
    return ()


def progress_clause(unit: str, test: Test) -> Clause:
    """A clause on how far the run came: the largest step, or the metric `epoch` and the like."""
    if test.op in {"==", "!="}:
        raise ask("at least, at most or about so many?", Kind.COUNT_OR_PROGRESS)
    if test.value != int(test.value):
        raise ask(f"is {test.value:g} a fraction of a {unit}, or thousands?",
                  Kind.COUNT_OR_PROGRESS)  # fmt: skip
    step = unit == "step"
    return Clause(
        subject=Subject.STEP if step else Subject.METRIC,
        metric=unit,
        op=test.op,
        value=test.value,
        value2=test.value2,
        unit=f"{unit}s",
        aggregate=None if step else "max",
        tolerance=test.tolerance,
    )


def _released(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`Pod deleted after completion`, `all processes ended`, `nothing left running`."""
    bare = {w for w in words if w.isalnum()}
    nothing = "nothing" in bare and bare & {"left", "running", "remains"}
    if not nothing and not (bare & RELEASED and bare & RESOURCES):
        return ()
    known = RESOURCES | RELEASED | ARTICLES | MODALS | words_of(
        "all after at once when completion run runs training end ends evaluation teardown job of "
        "nothing left running behind remains memory to save resources costs cost automatically "
        "money and finish finishes released it completes"
    )  # fmt: skip
    if bare - known:
        return ()
    return (Clause(subject=Subject.RESOURCES, metric="resources", op="released"),)


def _event(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`early stopping triggered`, `pod launched`: an event by its words."""
    bare = [w for w in words if re.fullmatch(r"[\w&-]+", w)]
    done = [w for w in bare if w in LAUNCHED]
    if not done:
        return ()
    names = [w for w in bare if w not in LAUNCHED | MODALS | ARTICLES | LEADS]
    if len(names) > 3 or set(names) & (CONDITIONS | VAGUE | PREPOSITIONS):
        return ()
    name = "_".join(names).replace("-", "_")
    if name in {"early_stopping", "early_stop"}:
        return (Clause(subject=Subject.EVENT, metric="early_stopping", op="exists"),)
    if name and set(names) <= TRAINING | UNNAMED:
        return (Clause(subject=Subject.EVENT, metric="process", op="exists"),)
    raise declare(f"which event says that {' '.join(bare)!r}? Write `event NAME exists`",
                  Kind.EVENT_PRESENCE,
                  (Clause(subject=Subject.EVENT, metric=name or None, op="exists"),))  # fmt: skip


# ------------------------------------------------------------------ trends
def _trend(pieces: Sequence[Piece], words: Sequence[str], text: str) -> Clauses:
    """`Loss decreasing over the last 1000 steps`; without a window a declaration is missing."""
    start = next(
        (i for i, w in enumerate(words)
         if w in FALLING | RISING | OTHER_TRENDS | {"stable", "stabilizing"}), None
    )  # fmt: skip
    if start is None:
        return ()
    names = [
        piece.text.strip("`") for piece in pieces[:start]
        if piece.kind in {"word", "code"} and piece.word not in LEADS | ARTICLES | MODALS
    ]  # fmt: skip
    metric = " ".join(name for name in names if name.casefold() not in VAGUE | PREPOSITIONS)
    word = words[start]
    places = [p for p in pieces if p.moment is not None]
    anchor = anchor_of(places[0].kind, places[0].moment) if places and places[0].moment else None
    if word in FALLING or word in RISING:
        op = "decreasing" if word in FALLING else "increasing"
    else:
        op = word
    clause = Clause(subject=Subject.METRIC, metric=metric or None, op=op, aggregate="trend",
                    anchor=anchor)  # fmt: skip
    named = set(metric.casefold().split()) - TRAINING
    if not named or not is_metric_like(metric):
        if set(words) & VAGUE:
            raise person(f"{min(set(words) & VAGUE)!r} has no measure; name a metric and a bound")
        if not named:
            raise ask(f"{word!r} of which metric, over which window?", Kind.TREND)
    if set(words) & (CONDITIONS | {"until"}):
        raise ask(f"{word!r} with a negation: write what must hold", Kind.TREND, (clause,))
    vague = set(words) & VAGUE
    plain = op in {"decreasing", "increasing"} and not vague
    if plain and anchor is not None and ("last" in anchor or ".." in anchor):
        return (clause,)
    if op not in {"decreasing", "increasing"} and (vague or anchor is None):
        raise ask(f"what counts as {word!r}? Name a bound and a window", Kind.TREND, (clause,))
    raise declare(f"{word!r} is a trend: over which window, and how much? Write "
                  "`loss decreasing over last 1000 steps`, or a bound", Kind.TREND, (clause,))  # fmt: skip


_READERS: tuple[Callable[[Sequence[Piece], Sequence[str], str], Clauses], ...] = (
    _output,
    _command,
    _released,
    _absence,
    _files,
    _checkpoints,
    hazard_alone,
    _trend,
    _reported,
    _finished,
    _event,
    artifact_unnamed,
)
