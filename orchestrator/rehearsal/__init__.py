"""Rehearsals as pure functions: the plan, the pass rule of each step, the forecast."""
