"""The words that change what a claim says, by class. What is in no class names something."""

import re


def words_of(text: str) -> frozenset[str]:
    """A table of words."""
    return frozenset(text.split())


# ------------------------------------------------------------------ words without weight
ARTICLES = words_of("the a an its their our this that these those der die das le la les el los")
LEADS = words_of(
    "verify ensure ensures check confirm achieve achieves achieved document documents make sure "
    "expect expected expecting watch monitor measure observe see get show target goal require "
    "requires required maintain maintains deliver demonstrate report we it you track want need "
    "needs obtain gate keep detects detect compare assert"
)
MODALS = words_of(
    "should must shall will would has have to is are be was were been being can could may needs "
    "expected does do did still already"
)
FILLERS = ARTICLES | LEADS | MODALS
MOVES = words_of("drops drop falls fall goes go gets get rises rise comes come climbs climb sits")
EXPLAINS = words_of(
    "indicates indicate indicating meaning means shows showing suggests suggesting demonstrating "
    "proves so because since confirming thus therefore i.e e.g"
)
PREPOSITIONS = words_of(
    "on for in across with under during at from using per against without within over when while "
    "among between after via by to inside of throughout into before until"
)
# Words before a metric that tell who has it: "the agent reaches reward > 3" is about the reward.
HOLDERS = words_of(
    "gives give yields yield shows has have with where having produces attains attain reach gets "
    "scores reports expect and achieves achieve reaches maintains that"
)
GENERIC_SUBJECTS = words_of(
    "model models training network agent run runs system final pipeline method approach overall "
    "policy student teacher experiment checkpoint job evaluation eval"
)
# What such a phrase names is "the number", not which number.
UNNAMED = words_of(
    "target targets goal goals result results metric metrics performance value values score scores "
    "number numbers quality model it this they everything job test tests success expected minimum "
    "maximum threshold output outputs data status stage phase gate requirement requirements "
    "criterion criteria progress level levels count baseline run runs range expectation estimate "
    "ideal good excellent acceptable great stretch pass fail deploy deliverable hypothesis primary "
    "secondary objective benchmark kpi action compute total observation key current actual final "
    "best improvement must note"
)

# Labels that only announce a test: "Target: …".
LABELS = words_of(
    "target targets goal goals gate success criterion criteria deliverable expected must "
    "hypothesis minimum requirement requirements    action objective acceptance "
    "threshold test check expectation outcome 目標 目标 ziel objetivo if after before best case "
    "pass stretch ok"
)

# Of these, the ones that go before a name too: "Target latency".
ANNOUNCERS = words_of("target targets goal goals expected gate required desired")
# Labels of what was measured, or is still to be done: no condition.
RESULT_LABELS = words_of(
    "result results current currently actual achieved before was todo fixme example status now "
    "note latest measured observed reported"
)

# ------------------------------------------------------------------ words that need a question
CONDITIONS = words_of(
    "unless whether otherwise depending only except never neither nor but however instead cannot "
    "avoid avoids avoiding prevent prevents fail fails failed failing rarely hardly not "
    "no none nothing nowhere unlikely outside failure maybe perhaps ideally preferably "
    "hopefully likely possible "
    "possibly mostly usually typically generally if"
)
VAGUE = words_of(
    "stable stably smooth smoothly balanced reasonable reasonably good well great acceptable "
    "healthy obvious clean cleanly properly proper correct correctly fast slow real-time realtime "
    "significant significantly slightly slight high low strong robust meaningful consistent "
    "consistently effective effectively effectiveness sufficient sufficiently enough adequate "
    "decent competitive satisfactory nice poor bad small large minimal normal realistic plausible "
    "sensible quickly gradually rapidly nearly almost    perceptually visually "
    "somewhat appropriate      excellent wildly much "
    "substantially substantial noticeable noticeably approximately steadily steady suddenly "
    "proportionally monotonic-ish comparable similar tuned roughly noisy dramatically efficient "
    "efficiently clear clearly visible tight excessive excessively unusually too sane monotone "
    "abnormal weird strange "
)
OPEN = CONDITIONS | VAGUE
AUTHENTIC = words_of("real genuine authentic reproducible reproduce reproduced")
RELATIVE = words_of(
    "baseline baselines vs versus compared relative beat beats beating outperforms outperform "
    "better worse original previous prior old earlier matches parity equal equivalent sota "
    "state-of-the-art"
)
EXCEEDS = words_of(
    "exceed exceeds exceeding beat beats beating outperform outperforms outperforming surpass "
    "surpasses"
)
IMPROVES = words_of(
    "improve improves improved improvement improvements improving gain gains increase increases "
    "increased boost boosts higher uplift lift"
)
REDUCES = words_of(
    "reduce reduces reduced reduction reductions decrease decreases decreased drop drops dropped "
    "cut cuts lower lowered saving savings fewer less degradation loss-of"
)
FASTER = words_of("faster speedup speed-up speedups quicker slower slowdown")
OVERHEADS = words_of("overhead degradation regression deviation drift")
DERIVED = words_of("gap ratio difference delta diff discrepancy")
STEADY = words_of("stays stay staying remains remain always keeps kept throughout held holds hold")
REACHES = words_of("reaches reach reaching hits hit achieves achieve attains attain")
EVENTUALLY = words_of("eventually once sometime")

# In what narrows a test these say when, how much, or under which condition: not on what.
UNSCOPED = words_of(
    "million billion trillion t permille \u2030 bp bps \u207b\u00b3 \u00bd "
    "end ends beginning start convergence halfway warmup post-warmup init initialization "
    "resume frames frame point most time times out consecutive row given assuming minus plus "
    "tbd rather excluding ignoring points epoch epochs step steps iterations iteration "
    "between one two three four five some few many lr seed k m w c °c g gigs us msec "
    "milliseconds usd € /hr cent th ish n/a tolerance approx least worst case cases half "
    "twice once overall optional "
)

# ------------------------------------------------------------------ trends
FALLING = words_of(
    "decreasing decreases decrease falling falls declining declines dropping drops drop descending "
    "shrinking shrinks decays decreased downward downwards decrece disminuye baja sinkt fällt "
    "diminue 下降 减少 減少 감소"
)
RISING = words_of(
    "increasing increases increase rising rises growing grows climbing climbs climb increased "
    "upward upwards aumenta sube steigt augmente 上升 增加 증가"
)
OTHER_TRENDS = words_of(
    "converges converge converged convergence converging plateau plateaus plateaued plateauing "
    "improving improves stabilizing stabilising stabilizes stabilized stabilises flat flattens "
    "oscillating oscillates oscillation spikes spike diverges diverge diverging divergence "
    "collapse collapses collapsed collapsing trend trending monotonic monotonically stagnates "
    "stuck saturates saturated learns improvement saturation jumping fluctuating"
)
TRENDS = FALLING | RISING | OTHER_TRENDS

# ------------------------------------------------------------------ families and statistics
# Metrics that count how far a run came, beside its steps.
COUNTERS = words_of("epoch iteration episode round generation")
EACH = words_of("each every all both every-class")
FAMILY_OF = re.compile(r"per[- ](\w+)")
SHARED = words_of(
    "seeds seed runs episodes queries cases samples tasks trials examples games prompts classes "
    "folds experts images sequences rollouts layers heads questions problems instances puzzles"
)
_STATISTICS = words_of("best final latest max min median p10 p50 p75 p90 p95 p99 p99.9")
STATISTICS = {word: word for word in _STATISTICS} | {
    "maximum": "max",
    "peak": "max",
    "highest": "max",
    "minimum": "min",
    "lowest": "min",
    "last": "latest",
}
AVERAGED = words_of("averaged average mean avg median smoothed rolling ema on-average")

# ------------------------------------------------------------------ what a run does and leaves
TRAINING = words_of(
    "training train trainer run job model agent experiment finetuning fine-tuning pretraining "
    "pre-training multi-epoch loop script pipeline"
)
EVALUATING = words_of("evaluation eval validation evaluate evaluates evaluating")
RUNS = words_of(
    "runs run ran trains trained train progresses progressing proceeds running completes completed "
    "complete finishes finished finish reaches reached continues executes converges through done "
    "lasts"
)
COMPLETES = words_of(
    "completes completed complete finishes finished finish succeeds succeeded done completado "
    "abgeschlossen"
)
# Work of programs that a command line would show.
BUILDS = words_of(
    "compiles compile builds imports launches executes loads load loaded loadable opens "
    "initializes starts"
)
# "the file has 20+ rows": what follows the number is counted.
OWNERS = words_of(
    "produces has contains generates processes supports handles includes holds spans span covers "
    "have contain with"
)
SUCCESSFULLY = words_of("successfully success end-to-end fully cleanly normally")
REPORTS = words_of(
    "reports report logs logged reported recorded records tracks tracked emits computed prints "
    "output outputs"
)
EXISTS = words_of(
    "exists exist existing created saved saves save written stored present produced generated "
    "available uploaded exported published pushed produces writes generates contains committed "
    "rendered downloaded 存在 존재 生成 保存 저장 vorhanden gespeichert guardado"
)
RELEASED = words_of(
    "released freed ended terminated gone deleted stopped shut cleaned removed torn closed"
)
RESOURCES = words_of(
    "pod pods resource resources gpu gpus process processes instance instances vm vms container "
    "containers node nodes cluster server"
)
LAUNCHED = words_of(
    "launched started triggered fired sent raised posted enabled online scheduled received "
    "deployed triggers fires activated activates"
)
CHECKPOINTS = words_of("checkpoint checkpoints ckpt ckpts checkpointing weights snapshots")
PASSES = words_of("passes pass passing passed succeeds succeed green works clean")
PRINTS = words_of(
    "prints print printed shows show displays contains says outputs output message logs appears "
    "console stdout contain"
)
STORAGE = words_of(
    "to in on at disk persistent storage run folder shared volume directory the every hub file "
    "files after during for each step correctly model and a successfully with is are pvc"
)

# ------------------------------------------------------------------ hazards
_HAZARDS = {
    "nan": r"nans?",
    "inf": r"infs?|infinit\w+|non-?finite",
    "oom": r"ooms?|out[- ]of[- ]memory|memory overflow",
    "crash": r"crash\w*|segfaults?",
    "error": r"errors?|exceptions?|tracebacks?|errores|fehler|erreurs|erros",
}
HAZARDS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _HAZARDS.items()}
# What may stand around the name of a hazard, and where it is looked for.
HAZARD_WORDS = words_of(
    "nan nans inf infs infinity infinite non-finite nonfinite oom ooms out-of-memory out memory "
    "crash crashes crashing crashed segfault segfaults error errors exception exceptions traceback "
    "tracebacks value values warning warnings message messages event events or and nan/inf inf/nan "
    "runtime cuda kill kills killed fatal unhandled python gpu no zero 0 issue issues errores "
    "fehler erreurs erros failures failure occurs occurred occur appear appears detected "
    "encountered observed nan/inf/oom gradient nan-free"
)
SEARCHED = words_of(
    "in during for throughout on at training train run runs the entire whole full any all log logs "
    "console output loss losses process metric metrics logged reported every stderr stdout job "
    "gradients "
    "over evaluation eval of a phase"
)
INCIDENTS = words_of(
    "error errors crash crashes exception exceptions warning warnings event events message messages"
)

# ------------------------------------------------------------------ what a metric is measured in
MEMORY = words_of("memory vram ram mem")
TIMED = words_of(
    "time duration runtime wall-clock walltime takes took take hours wall clock eta compute "
    "completes finish finishes completed elapsed budget estimated full total training train run "
    "end-to-end gpu cpu on one single job overall complete in experiment expected whole within "
    "under of the for and sweep"
)
# Metrics that are percentages themselves: 2% of them may be points or percent of the value.
PERCENTAGES = words_of(
    "accuracy acc precision recall f1 rate map iou dice auc auroc pass@1 pass@k win success "
    "coverage score exact match em miou performance top-1 top-5 hit"
)

_SHARES = words_of("accuracy acc precision recall f1 auc auroc iou miou dice")
_LOWER = words_of(
    "loss losses perplexity ppl fid wer cer latency error errors mae mse rmse nll ece kl time far "
    "frr eer mape bpb bpc overfitting memory iterations cost overhead gap brier kid lpips duration "
    "energy regret violations collisions collision"
)
_HIGHER = words_of(
    "accuracy acc precision recall f1 auc auroc bleu rouge reward return map ndcg mrr psnr ssim "
    "iou dice throughput win success coverage silhouette r2 miou kappa elo score fps speed "
    "utilization meteor cider inception is hit"
)
_OTHERS = words_of(
    "lr rate entropy norm likelihood bpd learning epsilon temperature grad gradient sparsity "
    "size step epoch pr-auc match ratio count fa nfe usage share percentage budget costs margin "
    "drawdown sharpe clusters"
)


def is_metric_like(phrase: str) -> bool:
    """Whether a phrase names a measurement by its form (`pass@1`, `eval/x`) or a known word."""
    if re.fullmatch(r"\S*[/_@]\S*", phrase):
        return True
    words = set(re.split(r"[\s_/-]+", phrase.casefold())) | set(phrase.casefold().split())
    return bool(words & (_LOWER | _HIGHER | _OTHERS))


def is_turned(word: str) -> bool:
    """Whether a word turns a claim around or makes it conditional: not, shouldn't, unless."""
    plain = word.replace("\u2019", "'")
    return plain in CONDITIONS or plain.endswith("n't")


def measured_in_percent(series: str) -> bool:
    """Whether a series is a percentage by its name: some log 0…1, others 0…100."""
    tokens = set(re.split(r"[^\w@]+|_", series.casefold()))
    return bool(tokens & _SHARES) or any(token.startswith("pass@") for token in tokens)


def direction_of(name: str) -> str | None:
    """`min` or `max` where a metric's name says which way is better; None otherwise."""
    tokens = set(re.split(r"[^\w@]+|_", name.casefold()))
    lower = bool(tokens & _LOWER)
    higher = bool(tokens & _HIGHER) or any(token.startswith("pass@") for token in tokens)
    if lower == higher:
        return None
    return "min" if lower else "max"
