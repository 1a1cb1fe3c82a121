"""Healthy curves: synthetic runs of the kinds that people train, each a function of a generator.

A run with a fault is in sick.py.
"""

import math

from diagnose.cases import case, curve, phases
from diagnose.shapes import STEPS, cosine, decay, evals, noisy, norms


def pretraining(rng):
    """A language model: warm-up and decay, gradient norms, an evaluation now and then."""
    loss = decay(rng)
    curves = [
        curve("train/loss", loss),
        curve("train/lr", cosine()),
        curve("train/grad_norm", norms(rng)),
        curve("val/loss", evals(rng, loss), every=50),
    ]
    return case(curves=curves, planned=STEPS, params={"vocab_size": 32000})


def restarts(rng):
    """Cosine restarts: the rate jumps back three times, and the loss a little with it."""
    cycle, bump = rng.randrange(80, 250), rng.uniform(0.1, 1.0)
    rate = [3e-4 * (1 + math.cos(math.pi * (n % cycle) / (cycle - 1))) / 2 for n in range(STEPS)]
    loss = [a + bump * r / 3e-4 for a, r in zip(decay(rng), rate, strict=True)]
    return case(curves=[curve("train/loss", loss), curve("lr", rate)], planned=STEPS)


def returns(rng):
    """Reinforcement learning: returns rise and scatter, the loss follows nothing."""
    reward = [200 / (1 + math.exp(5 - n / 80)) + 40 * rng.gauss(0, 1) for n in range(STEPS)]
    loss = [abs(rng.gauss(0, 1)) * (1 + n / 100) for n in range(STEPS)]
    return case(curves=[curve("episode/return", reward), curve("train/loss", loss)])


def td_loss(rng):
    """A temporal-difference loss grows with the values that it predicts."""
    loss = noisy(rng, [0.01 + n / 200 for n in range(STEPS)], 0.5)
    reward = [n / 5 + 20 * rng.gauss(0, 1) for n in range(STEPS)]
    return case(curves=[curve("rollout/reward", reward), curve("train/loss", loss)])


def curriculum(rng):
    """Harder tasks from steps 200 and 400 on: the loss jumps and is learned down again."""
    size, pace = rng.uniform(0.3, 2.0), rng.uniform(25, 90)
    tasks = [(0, 2.0, 30), (200, size, pace), (400, size, pace)]
    loss = [
        0.5 + sum(high * math.exp(-(n - at) / tau) for at, high, tau in tasks if n >= at)
        for n in range(STEPS)
    ]
    return case(curves=[curve("train/loss", noisy(rng, loss, 0.04))], planned=STEPS)


def step_decay(rng):
    """The rate falls by ten twice, and the loss with it."""
    base = (2.0, 1.2, 0.9)
    loss = [base[n // 200] + math.exp(-(n % 200) / 20) * 0.3 for n in range(STEPS)]
    rate = [0.1 * 0.1 ** (n // 200) for n in range(STEPS)]
    return case(curves=[curve("loss", noisy(rng, loss, 0.05)), curve("lr", rate)])


def large_batch(rng):
    """Hardly any noise."""
    return case(curves=[curve("train/loss", decay(rng, noise=0.001))], planned=STEPS)


def small_batch(rng):
    """Noise with a heavy tail, multiplied on the loss."""
    loss = [a * math.exp(0.6 * rng.gauss(0, 1)) for a in decay(rng, noise=0)]
    return case(curves=[curve("train/loss", loss), curve("grad_norm", norms(rng, tail=0.8))])


def heavy_tail(rng):
    """Single batches many times the rest."""
    loss = [a * (1 + rng.paretovariate(1.5) / 10) for a in decay(rng, noise=0.01)]
    return case(curves=[curve("train/loss", loss)])


def resumed(rng):
    """Resumed from step 300 after 400: steps come again, a little different."""
    loss = decay(rng)
    again = noisy(rng, loss[300:], 0.01)
    steps = [*range(1, 401), *range(301, STEPS + 1)]
    return case(curves=[curve("train/loss", [*loss[:400], *again], steps=steps)], planned=STEPS)


def comparison(rng):
    """Two members of three seeds each, with training and validation of their own."""
    curves = []
    for member in ("ours", "baseline_a"):
        for seed in range(3):
            loss = decay(rng, steps=300)
            name = f"{member}/seed_{seed}"
            curves.append(curve(f"{name}/train/loss", loss))
            curves.append(curve(f"{name}/val/loss", evals(rng, loss), every=50))
    return case(curves=curves, planned=300)


def adversarial(rng):
    """Generator and discriminator in turns."""
    wave = [1.5 + math.sin(n / 30) for n in range(STEPS)]
    return case(
        curves=[
            curve("train/g_loss", noisy(rng, wave, 0.1)),
            curve("train/d_loss", noisy(rng, [3 - value for value in wave], 0.1)),
            curve("loss", noisy(rng, wave, 0.1)),
        ]
    )


def fine_tuning(rng):
    """Begins low, and gains little against much noise."""
    loss = decay(rng, start=2.0, floor=1.6, noise=0.06)
    return case(
        curves=[curve("train/loss", loss), curve("eval/loss", evals(rng, loss), every=50)],
        planned=STEPS,
    )


def grokking(rng):
    """Training is learned at once, validation much later; its accuracy waits at chance."""
    sharp = [1 / (1 + math.exp(-(n - 40) / 3)) for n in range(60)]
    return case(
        curves=[
            curve("train/loss", decay(rng, start=4.6, floor=0.01, pace=0.05)),
            curve("val/loss", noisy(rng, [4.6 * (1 - s) + 0.1 for s in sharp], 0.02), every=10),
            curve("val/acc", [0.01 + 0.98 * s + 1e-4 * rng.random() for s in sharp], every=10),
            curve("val/majority_acc", [0.0103] * 60, every=10),
        ],
        planned=STEPS,
    )


def late_drop(rng):
    """A long plateau at the random baseline, then it falls."""
    loss = [2.303 - 1.8 / (1 + math.exp(-(n - 350) / 15)) for n in range(STEPS)]
    return case(
        curves=[curve("train/loss", noisy(rng, loss, 0.02))],
        planned=STEPS,
        params={"num_classes": 10},
    )


def near_zero(rng):
    """Learned by heart: the loss ends at a millionth, and scatters over decades."""
    loss = [5 * math.exp(-n / 40) + 1e-6 * math.exp(rng.gauss(0, 1)) for n in range(STEPS)]
    return case(curves=[curve("train/loss", loss)], planned=STEPS)


def elbo(rng):
    """A loss that goes below zero."""
    loss = [100 - 900 * (1 - math.exp(-n / 120)) + 15 * rng.gauss(0, 1) for n in range(STEPS)]
    return case(curves=[curve("train/loss", loss), curve("val/loss", loss[49::50], every=50)])


def perfect(rng):
    """Accuracy stays at 100%, exact matches too; the loss goes on."""
    loss = decay(rng, start=1.0, floor=1e-4)
    return case(
        curves=[
            curve("train/loss", loss),
            curve("val/loss", evals(rng, loss), every=50),
            curve("val/acc", [0.9, 0.99] + [1.0] * 10, every=50),
            curve("val/exact", [0.5, 0.9] + [1.0] * 10, every=50),
        ]
    )


def unsolved(rng):
    """No puzzle solved yet; accuracy and loss improve."""
    loss = decay(rng)
    return case(
        curves=[
            curve("train/loss", loss),
            curve("eval/loss", evals(rng, loss), every=50),
            curve("eval/exact", [0.0] * 12, every=50),
            curve("eval/pass@1", [0.0] * 12, every=50),
            curve("eval/acc", [0.3 + n / 30 + rng.random() / 100 for n in range(12)], every=50),
        ]
    )


def counts(rng):
    """What stands still by its nature is logged beside: examples, classes, a baseline."""
    loss = decay(rng)
    return case(
        curves=[
            curve("train/loss", loss),
            curve("val/loss", evals(rng, loss), every=50),
            curve("val/examples", [10000] * 12, every=50),
            curve("val/best_loss", [2.8123456789] * 12, every=50),
            curve("baseline/uniform/cross_entropy", [10.373491181781864] * 12, every=50),
            curve("teacher/val/loss", [2.512345678912] * 12, every=50),
        ]
    )


def carried_on(rng):
    """The newest validation loss is logged at each step again."""
    loss = decay(rng)
    held = [value for value in evals(rng, loss, every=100) for _ in range(100)]
    return case(
        curves=[curve("train/loss", loss[100:]), curve("val/loss", held[:500])], planned=STEPS
    )


def printed(rng):
    """Read from a log with two digits; the rate is printed without exponent."""
    loss = [round(value, 2) for value in decay(rng, start=2.3, floor=0.21, noise=0.02)]
    return case(
        curves=[
            curve("log/loss", loss),
            curve("log/val_loss", [1.02, 0.55, 0.31, 0.24, 0.23, 0.23, 0.23], every=85),
            curve("log/val_acc", [0.71, 0.8, 0.88, 0.92, 0.93, 0.93, 0.93], every=85),
            curve("log/lr", [0.0001 if n < 300 else 0.0 for n in range(STEPS)]),
        ]
    )


def half_precision(rng):
    """Losses in bfloat16, which repeat at the end; infinite norms while the scale is found."""
    rough = [round(value * 64) / 64 for value in decay(rng, start=4.0, floor=2.0)]
    norm = norms(rng)
    norm[2] = norm[5] = math.inf
    return case(
        curves=[
            curve("train/loss", rough),
            curve("val/loss", [3.5, 2.5, 2.25, 2.125, 2.09375, 2.09375, 2.09375], every=85),
            curve("train/grad_norm", norm),
        ]
    )


def annealed(rng):
    """Linear down to exactly zero at the end, evaluated twice at the last step."""
    loss = decay(rng)
    rate = [3e-4 * (1 - n / (STEPS - 1)) for n in range(STEPS)]
    val = evals(rng, loss)
    return case(
        curves=[
            curve("train/loss", loss),
            curve("train/lr", rate),
            curve("val/loss", [*val, val[-1]], steps=[*range(50, 601, 50), 600]),
        ],
        planned=STEPS,
    )


def frozen_layer(rng):
    """Two groups of parameters, one of them frozen on purpose."""
    return case(
        curves=[
            curve("train/loss", decay(rng)),
            curve("lr/group0", [0.0] * STEPS),
            curve("lr/group1", cosine(low=1e-5)),
        ]
    )


def accumulated(rng):
    """Logged in micro-batches: sixteen points of a rate of zero before the first step."""
    rate = [1e-4 * (n // 16) / 37 for n in range(STEPS)]
    return case(curves=[curve("train/loss", decay(rng)), curve("train/lr", rate)])


def imbalanced(rng):
    """Mostly background, and the rare classes are learned in the end."""
    grown = [0.1 + 0.8 * n / 11 + rng.random() / 50 for n in range(12)]
    return case(
        curves=[
            curve("train/loss", decay(rng)),
            curve("val/pixel_acc", [0.94 + 0.04 * g for g in grown], every=50),
            curve("val/majority_acc", [0.945] * 12, every=50),
            *[curve(f"val/recall/{n}", grown, every=50) for n in range(1, 10)],
            curve("val/recall/0", [0.999] * 12, every=50),
        ],
        planned=STEPS,
    )


def overfits_a_little(rng):
    """Validation turns up by a tenth after its best."""
    val = [2.0 - 0.1 * n if n < 8 else 1.2 + 0.015 * (n - 8) for n in range(16)]
    return case(
        curves=[
            curve("train/loss", decay(rng, start=4.0, floor=0.9)),
            curve("val/loss", noisy(rng, val, 0.01), every=37),
        ]
    )


def regularised(rng):
    """Dropout and mixing of examples: training's loss stays above validation's."""
    loss = decay(rng, start=6.9, floor=3.0)
    return case(
        curves=[
            curve("train/loss", loss),
            curve("val/loss", evals(rng, loss, above=0.4), every=50),
            curve("val/top1", [0.1 + 0.05 * n + rng.random() / 99 for n in range(12)], every=50),
        ],
        params={"num_classes": 1000},
    )


def evaluated(rng):
    """Evaluations that take a tenth of the time, and a long one at the end."""
    loss = decay(rng, steps=100)
    times = [10 * n + 55 * (n // 50) for n in range(100)]
    spans = [("eval", 490, 545, 50), ("eval", 1045, 9000, 100)]
    return case(curves=[curve("train/loss", loss, times=times)], events=phases(*spans))


def short(rng):
    """A few points only."""
    return case(curves=[curve("train/loss", decay(rng, steps=12)), curve("lr", [0.0, 1e-4, 2e-4])])


def by_epoch(rng):
    """One point an epoch, of training, validation and accuracy."""
    loss = decay(rng, steps=30, start=2.3, floor=0.3)
    return case(
        curves=[
            curve("train_loss", loss),
            curve("val_loss", noisy(rng, [1.3 * value for value in loss], 0.03)),
            curve("val_acc", [1 - value / 3 for value in loss]),
        ],
        params={"classes": 10},
    )


def terms(rng):
    """A sum of terms, one of which only sets in later."""
    task = decay(rng, start=3.0, floor=1.0)
    feature = [0.2 if n > 300 else 0.0 for n in range(STEPS)]
    total = [a + b for a, b in zip(task, feature, strict=True)]
    return case(
        curves=[
            curve("train/loss", total),
            curve("train/loss/task", task),
            curve("train/loss/feature", feature),
            curve("val/loss", evals(rng, total), every=50),
        ]
    )


def multiplicity(rng):
    """The same loss logged, in TensorBoard's files and printed with two digits."""
    loss = decay(rng)
    return case(
        curves=[
            curve("train/loss", loss),
            curve("tensorboard/train/loss", loss),
            curve("log/loss", [round(value, 2) for value in loss]),
        ]
    )


HEALTHY = (
    *(pretraining, restarts, returns, td_loss, curriculum, step_decay, large_batch, small_batch),
    *(heavy_tail, resumed, comparison, adversarial, fine_tuning, grokking, late_drop, near_zero),
    *(elbo, perfect, unsolved, counts, carried_on, printed, half_precision, annealed),
    *(frozen_layer, accumulated, imbalanced, overfits_a_little, regularised, evaluated, short),
    *(by_epoch, terms, multiplicity),
)
