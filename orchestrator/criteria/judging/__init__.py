"""From a predicate and the records of a run to a verdict with its evidence."""
