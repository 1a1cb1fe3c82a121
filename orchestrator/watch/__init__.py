"""The one process a workspace that observes all runs: ingest, judge, finish, publish.

It observes and annotates; it owns no process. Killed at any instant, the next one goes on from
the files.
"""
