"""Sick curves: synthetic runs with one fault each, and what must be found in them."""

import math

from diagnose.cases import case, curve, hits, phases
from diagnose.shapes import STEPS, cosine, decay, evals, norms

from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.run import MetricSpec


def nan_loss(rng):
    """NaN from step 401 on."""
    loss = decay(rng)
    val = evals(rng, loss)
    values = [*loss[:400], *[math.nan] * 200]
    return case(curves=[curve("train/loss", values), curve("val/loss", val[:8], every=50)])


def infinite_once(rng):
    """One infinite point, finite again behind it."""
    loss = decay(rng)
    loss[300] = math.inf
    return case(curves=[curve("train/loss", loss)])


def nan_norm(rng):
    """The gradient's norm stays NaN; the loss is clamped and finite."""
    norm = [*norms(rng)[:300], *[math.nan] * 300]
    return case(curves=[curve("loss", decay(rng)), curve("grad_norm", norm)])


def nan_in_a_term(rng):
    """A term is NaN at the end, the sum leaves it out."""
    term = [*decay(rng)[:-20], *[math.nan] * 20]
    return case(curves=[curve("train/loss", decay(rng)), curve("train/loss/kd", term)])


def nan_in_the_log(rng):
    """The log tells of NaN, and the curve does not."""
    told = {"nan": hits("[Warning] NaN in kd_loss, using 0.0", first=812)}
    return case(curves=[curve("train/loss", decay(rng))], hits=told)


def clamped(rng):
    """Logits are clamped."""
    told = {"clamp": hits("clamping logits to [-50, 50]", "clamping logits to [-50, 50]")}
    return case(curves=[curve("train/loss", decay(rng))], hits=told)


def skipped_steps(rng):
    """The loss scaler skips a step in twenty."""
    told = {"scaler_skip": hits(*["OVERFLOW! Skipping step."] * 30)}
    return case(curves=[curve("train/loss", decay(rng))], hits=told)


def spike(rng):
    """Back at the start for eight steps, then as before."""
    loss = decay(rng, pace=0.05)
    for n in range(400, 408):
        loss[n] = 11 * math.exp(-(n - 400) / 20)
    norm = norms(rng)
    norm[399] = 80.0
    return case(curves=[curve("train/loss", loss), curve("train/grad_norm", norm)])


def diverged(rng):
    """Jumps at step 401 and stays."""
    loss = decay(rng, pace=0.05)
    loss[400:] = [9.5 + 0.3 * rng.gauss(0, 1) for _ in range(200)]
    return case(curves=[curve("train/loss", loss)])


def diverged_slowly(rng):
    """Turns at step 200 and climbs beyond its start."""
    loss = decay(rng, pace=0.05)
    loss[200:] = [loss[199] + (n / 20) ** 1.2 + 0.1 * rng.gauss(0, 1) for n in range(400)]
    return case(curves=[curve("train/loss", loss)])


def exploded(rng):
    """Grows from the first steps on."""
    loss = [10.4 * math.exp(n / 60) * (1 + 0.05 * rng.gauss(0, 1)) for n in range(STEPS)]
    return case(curves=[curve("train/loss", loss)])


def at_random(rng):
    """ln 32000 = 10.37 to the end."""
    loss = [10.373 + 0.02 * rng.gauss(0, 1) for _ in range(STEPS)]
    return case(curves=[curve("train/loss", loss)], params={"model": {"vocab_size": 32000}})


def at_random_classes(rng):
    """ln 10 = 2.303 to the end, after a worse start."""
    loss = [2.305 + math.exp(-n / 5) + 0.01 * rng.gauss(0, 1) for n in range(STEPS)]
    return case(curves=[curve("train_loss", loss)], params={"num_classes": 10})


def at_its_start(rng):
    """Never leaves its start; nothing says what guessing gives."""
    loss = [21.6 + 0.05 * rng.gauss(0, 1) for _ in range(STEPS)]
    return case(curves=[curve("train/loss", loss)])


def flat(rng):
    """Flat for long while a criterion is open and the rate is high."""
    loss = decay(rng, start=6.0, floor=3.0, pace=0.03)
    verdicts = (Verdict(state=State.PENDING, final=False, why="eval/loss < 2"),)
    rate = [3e-4] * STEPS
    return case(curves=[curve("train/loss", loss), curve("lr", rate)], verdicts=verdicts)


def rate_zero_always(rng):
    """The rate is zero, the loss does not move."""
    loss = [21.6 + 0.05 * rng.gauss(0, 1) for _ in range(STEPS)]
    return case(curves=[curve("train/loss", loss), curve("train/lr", [0.0] * STEPS)])


def rate_spent_early(rng):
    """A schedule for an eighth of the steps: zero from there on."""
    rate = [*cosine(steps=75), *[0.0] * 525]
    curves = [curve("train/loss", decay(rng)), curve("train/lr", rate)]
    return case(curves=curves, planned=STEPS)


def rate_spent_unplanned(rng):
    """The same, and nobody said how many steps there are."""
    rate = [*cosine(steps=300), *[0.0] * 300]
    return case(curves=[curve("loss", decay(rng)), curve("learning_rate", rate)])


def rate_printed_zero(rng):
    """Printed with an exponent, where nothing is rounded away."""
    told = {"lr_zero": hits(*[f"step {n} loss=15.6 lr=0.00e+00" for n in (1118, 1999, 2065)])}
    return case(curves=[curve("train/loss", decay(rng))], hits=told)


def no_gradient(rng):
    """The norm is zero, the loss does not move."""
    loss = [3.0 + 0.05 * rng.gauss(0, 1) for _ in range(STEPS)]
    return case(curves=[curve("train/loss", loss), curve("train/grad_norm", [0.0] * STEPS)])


def gradient_lost(rng):
    """The norm is zero from step 301 on."""
    norm = [*norms(rng)[:300], *[0.0] * 300]
    return case(curves=[curve("train/loss", decay(rng)), curve("gradient_norm", norm)])


def evaluation_frozen(rng):
    """Every number of the evaluation is the same, training goes on."""
    loss = decay(rng, start=21.5, floor=15.5)
    return case(
        curves=[
            curve("train/loss", [5 * value for value in loss]),
            curve("eval/loss", [101.40] * 3, every=200),
            curve("eval/kd_loss", [21.14] * 3, every=200),
            curve("eval/feature_loss", [40.79] * 3, every=200),
        ]
    )


def evaluation_freezes(rng):
    """Two values of full precision agree, after others."""
    loss = decay(rng)
    val = evals(rng, loss)
    val[-1] = val[-2]
    return case(
        curves=[
            curve("train/loss", loss),
            curve("val/loss", val, every=50),
            curve("val/acc", [n / 20 for n in range(11)] + [0.5], every=50),
        ]
    )


def evaluation_apart(rng):
    """Six times training's loss from the first evaluation on."""
    loss = decay(rng, start=21.5, floor=15.5)
    val = [101.4, 98.2, 95.86]
    return case(curves=[curve("train/loss", loss), curve("eval/loss", val, every=200)])


def learned_by_heart(rng):
    """Validation doubles after its best, training falls to nothing."""
    val = [2.0 - 0.2 * n if n < 5 else 1.2 + 0.12 * (n - 5) for n in range(20)]
    loss = decay(rng, start=2.0, floor=0.02, pace=0.2)
    return case(curves=[curve("train/loss", loss), curve("val/loss", val, every=30)])


def background_only(rng):
    """SAGE's: 94.4548% of pixels, where background alone gives 94.50%."""
    sizes = (146289, 1402, 1238, 2000, 776, 1007, 638, 308, 970, 172)
    right = (0.9994, 0.0014, 0.0, 0.001, 0.0, 0.0, 0.0016, 0.0, 0.0031, 0.0)
    return case(
        curves=[
            curve("train/loss", decay(rng)),
            curve("val/pixel_acc", [0.944548], steps=[194]),
            *[curve(f"val/count/{n}", [size], steps=[194]) for n, size in enumerate(sizes)],
            *[curve(f"val/recall/{n}", [share], steps=[194]) for n, share in enumerate(right)],
        ]
    )


def below_chance(rng):
    """Below the declared chance, in percent."""
    metrics = {"val/acc": MetricSpec(goal="max", chance=94.502, scale=100)}
    val = [80.0, 90.0, 94.4, 94.45]
    curves = [curve("train/loss", decay(rng)), curve("val/acc", val, every=150)]
    return case(curves=curves, metrics=metrics)


def one_class(rng):
    """One class for everything; no accuracy is logged."""
    curves = [curve(f"test/acc/class_{n}", [0.2, 0.0, 0.0], every=200) for n in range(4)]
    curves.append(curve("test/acc/class_4", [0.3, 0.99, 1.0], every=200))
    return case(curves=[curve("loss", decay(rng)), *curves])


def evaluates_all_the_time(rng):
    """42 minutes each 50 steps, which take 1.8 seconds."""
    loss = decay(rng, steps=200)
    times = [n / 28 + 2520 * (n // 50) for n in range(200)]
    begins = [n / 28 + 2520 * (n // 50 - 1) for n in (50, 100, 150)]
    spans = [("eval", t, t + 2520, 50 * n) for n, t in enumerate(begins, start=1)]
    return case(curves=[curve("train/loss", loss, times=times)], events=phases(*spans))


def pooled(rng):
    """Votes are kept from checkpoint to checkpoint."""
    curves = [curve("train/loss", decay(rng)), curve("eval/pass@1", [0.02, 0.05, 0.11], every=200)]
    return case(curves=curves, params={"evaluator": {"aggregated_voting": True}})


def pooled_in_the_log(rng):
    """The log says so."""
    told = {"votes": hits("loaded 3 vote files of step_1000, step_2000, step_3000")}
    return case(curves=[curve("train/loss", decay(rng))], hits=told)


def two_faults(rng):
    """A member of a comparison diverges, the other is fine."""
    bad = decay(rng, pace=0.05)
    bad[400:] = [9.5 + 0.3 * rng.gauss(0, 1) for _ in range(200)]
    return case(curves=[curve("a/train/loss", decay(rng)), curve("b/train/loss", bad)])


SICK = {
    nan_loss: ["non-finite:train/loss"],
    infinite_once: ["non-finite:train/loss"],
    nan_norm: ["non-finite:grad_norm"],
    nan_in_a_term: ["non-finite:train/loss/kd"],
    nan_in_the_log: ["hidden-nan:nan"],
    clamped: ["hidden-nan:clamp"],
    skipped_steps: ["hidden-nan:scaler_skip"],
    spike: ["loss-spike:train/loss"],
    diverged: ["divergence:train/loss"],
    diverged_slowly: ["divergence:train/loss"],
    exploded: ["divergence:train/loss"],
    at_random: ["not-learning:train/loss"],
    at_random_classes: ["not-learning:train_loss"],
    at_its_start: ["not-learning:train/loss"],
    flat: ["plateau:train/loss"],
    rate_zero_always: ["lr-zero:train/lr"],
    rate_spent_early: ["lr-zero:train/lr"],
    rate_spent_unplanned: ["lr-zero:learning_rate"],
    rate_printed_zero: ["lr-zero:lr"],
    no_gradient: ["gradient-zero:train/grad_norm"],
    gradient_lost: ["gradient-zero:gradient_norm"],
    evaluation_frozen: ["frozen-evaluation:eval/loss"],
    evaluation_freezes: ["frozen-evaluation:val/loss"],
    evaluation_apart: ["train-eval-gap:eval/loss"],
    learned_by_heart: ["overfitting:val/loss"],
    background_only: ["collapse:val/pixel_acc"],
    below_chance: ["collapse:val/acc"],
    one_class: ["collapse:test/recall"],
    evaluates_all_the_time: ["evaluation-dominates"],
    pooled: ["pooled-votes:eval/pass@1"],
    pooled_in_the_log: ["pooled-votes"],
    two_faults: ["divergence:b/train/loss"],
}
