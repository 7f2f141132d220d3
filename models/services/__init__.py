"""Verbs: each takes a `Work` first; what all of them share stands here, the rest in a folder for each area."""
