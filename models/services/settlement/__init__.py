"""The money: the ledger, what it matches, who is credited, commission and its statements."""
