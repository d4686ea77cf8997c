"""The command line: `placement COMMAND`, the same as `python -m pipeline COMMAND`."""

from pipeline.cli.app import main

__all__ = ["main"]
