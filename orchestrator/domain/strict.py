"""Which keys a table that people write may have."""

# What people write themselves is checked for unknown keys; records of ours ignore them, so that
# an older reader can read what a newer writer wrote.
STRICT = {"extra": "forbid"}
