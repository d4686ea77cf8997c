"""Mathematical models of the placement problem, in Pyomo; they know no solver."""
