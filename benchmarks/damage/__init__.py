"""Damages done to a home's files, and what became of each."""
