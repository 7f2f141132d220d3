"""The commands of `python -m crypto`: each reads files, asks its person, calls one pure act, and writes files."""
