"""How cases reach an agency and come back: agreements, tenders, placements, recalls."""
