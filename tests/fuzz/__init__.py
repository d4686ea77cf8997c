"""Hostile input: strategies that make it, the contract it is held to, and a bounded run of both."""
