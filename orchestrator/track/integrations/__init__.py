"""Tracking for training libraries: each is an optional module that imports its library."""
