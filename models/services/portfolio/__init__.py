"""A lender's cases: how they come in, are put right, left out, found and erased."""
