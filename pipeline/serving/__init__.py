"""Placements under the `roofline` model: stages composed in time, loads chosen with them."""
