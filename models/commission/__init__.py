"""Commission: derived from the facts, posted as differences, stated line by line and verified by anyone."""
