"""Distillation written out in Python floats, token by token."""

import math


def log_softmax(row, temperature):
    row = [value / temperature for value in row]
    largest = max(row)
    total = math.fsum(math.exp(value - largest) for value in row)
    return [value - largest - math.log(total) for value in row]


def log_sum(values):
    largest = max(values, default=-math.inf)
    if largest == -math.inf:
        return largest
    return largest + math.log(math.fsum(math.exp(value - largest) for value in values))


def divergence(log_p, log_q):
    """Sum of p log(p / q), with 0 log 0 = 0."""
    pairs = zip(log_p, log_q, strict=True)
    return math.fsum(math.exp(p) * (p - q) for p, q in pairs if math.exp(p) > 0)


def literal_kd(student, teacher, temperature, k=None, *, bucket=True):
    """T^2 KL of each token; over the teacher's k likeliest and, with a bucket, all the others."""
    values = []
    for q_row, p_row in zip(student.tolist(), teacher.tolist(), strict=True):
        log_q, log_p = log_softmax(q_row, temperature), log_softmax(p_row, temperature)
        order = sorted(range(len(log_p)), key=lambda place: -log_p[place])
        kept, others = order[:k], order[k:] if k else []
        q, p = [log_q[place] for place in kept], [log_p[place] for place in kept]
        if bucket:
            q.append(log_sum([log_q[place] for place in others]))
            p.append(log_sum([log_p[place] for place in others]))
        else:
            q, p = [value - log_sum(q) for value in q], [value - log_sum(p) for value in p]
        values.append(temperature**2 * divergence(p, q))
    return values
