"""Who can open what: keys and their directory, the way to a cell's key, orders, leases, replacement."""
