"""What was done and whether it was lawful: the audit log, conduct, breaches, what needs attention."""
