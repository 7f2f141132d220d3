"""How a case is worked: assignment, releases, contacts, promises, claims."""
