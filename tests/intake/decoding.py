from orchestrator.store.formats import NO_RULES, Cursor


def decoded(form, data, *, rules=None, cuts=()):
    """(line, step, metrics) of everything in `data`, read in bites that end at `cuts`."""
    cursor, found, at = Cursor(), [], 0
    for end in [*cuts, len(data)]:
        found += form.decode(cursor, data[at:end], rules or NO_RULES)
        at = end
    return [(one.line, one.step, one.metrics) for one in found]
