"""Shapes of which synthetic runs are made."""

import math
from dataclasses import replace

from diagnose.cases import curve

STEPS = 600


def noisy(rng, values, size):
    """Values with normal noise, relative to each."""
    return [value * (1 + size * rng.gauss(0, 1)) for value in values]


def decay(rng, steps=STEPS, start=10.4, floor=2.8, noise=0.03, pace=0.15):
    """A loss that falls from `start` towards `floor`; how fast and how noisy differs by seed."""
    pace, noise = pace * math.exp(rng.uniform(-0.7, 0.7)), noise * math.exp(rng.uniform(-1, 1))
    course = [floor + (start - floor) * math.exp(-n / (pace * steps)) for n in range(steps)]
    return noisy(rng, course, noise)


def cosine(steps=STEPS, peak=3e-4, warmup=0.05, low=0.0):
    """Linear warm-up and a cosine down to `low` at the last step."""
    rise = max(1, int(warmup * steps))
    return [
        peak * n / rise
        if n < rise
        else low + (peak - low) * (1 + math.cos(math.pi * (n - rise) / (steps - 1 - rise))) / 2
        for n in range(steps)
    ]


def norms(rng, steps=STEPS, level=1.0, tail=0.3):
    """Gradient norms with a heavy tail."""
    return [level * math.exp(tail * rng.gauss(0, 1)) for _ in range(steps)]


def evals(rng, values, every=50, above=1.05, noise=0.01):
    """Losses of an evaluation each `every` steps, a little above the training's level."""
    means = [sum(values[n - every : n]) / every for n in range(every, len(values) + 1, every)]
    return noisy(rng, [above * mean for mean in means], noise)


def begun(whole, rng):
    """The same run somewhere in its course, as a watcher sees it."""
    until = rng.uniform(0.05, 1) * whole.max_step
    counts = {
        c.name: next((n for n, step in enumerate(c.steps) if step > until), len(c))
        for c in whole.curves.values()
    }
    curves = [
        curve(c.name, c.values[:n], steps=c.steps[:n], times=c.times[:n])
        for c in whole.curves.values()
        if (n := counts[c.name])
    ]
    return replace(whole, curves={c.name: c for c in curves})
