"""`exp ticket rehearse`: the real programs for a few minutes, to lose minutes and not nights."""
