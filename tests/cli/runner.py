"""Runs a command within the test's own process."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from pipeline.cli.app import app, register

register()


def run(*arguments: object, columns: int = 160) -> Result:
    """Run `placement` with these arguments; whatever it raises on purpose is its exit code."""
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"}
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_json(*arguments: object) -> Any:
    """Run a command with --json and return what it printed, as data."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)
