"""Who takes part: organisations, their people and papers, a lender's settings, how an agency stands."""
