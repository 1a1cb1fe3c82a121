"""Tickets: read without loss, edited one span at a time, allocated, linted and ordered."""
