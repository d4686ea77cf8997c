"""Finds and proves the cheapest way to place a large language model on a pool of mixed GPUs."""

__version__ = "0.1.0"
