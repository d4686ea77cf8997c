"""The application: its commands, and what an error looks like to a user.

Exit codes: 0 done; 1 done, but something failed; 2 bad input; 3 no placement exists;
130 stopped by Ctrl-C; 141 the reader of the output left.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable
from functools import partial, wraps
from importlib import import_module
from typing import Any, TypeVar

import typer
from rich.console import Console

from pipeline import __version__
from pipeline.cli.streams import OutputError, ReaderLeftError, give_up_output, take_over
from pipeline.errors import InputError, PlacementError, ResultsError, SourceError, printable

app = typer.Typer(
    name="placement",
    help="Finds and proves the cheapest placement of a large language model on mixed GPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Modules of commands, in the order in which help lists them.
COMMANDS = (
    "solve_commands",
    "sweep_commands",
    "status_command",
    "inspect_commands",
    "report_commands",
    "config_commands",
    "catalogue_commands",
)

# Where this is set, an error that was foreseen nowhere shows its traceback.
TRACEBACK = "PLACEMENT_TRACEBACK"

# Characters of a line in a file or pipe.
UNBROKEN = 1000
Body = TypeVar("Body", bound=Callable[..., int])
# The last two as shells tell them of programs that a signal ended: 128 + SIGINT, 128 + SIGPIPE.
FAILED, BAD_INPUT, NO_PLACEMENT, INTERRUPTED, READER_LEFT = 1, 2, 3, 130, 141


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def command(**settings: Any) -> Callable[[Body], Body]:
    """Register a function as the command of its name; what it returns is the exit code.

    settings: for typer. Errors become messages, as JSON where the command has --log-json and was
    given it.
    """

    def registered(body: Body) -> Body:
        @wraps(body)
        def run(**given: Any) -> None:
            guarded(partial(body, **given), _log_error if given.get("log_json") else None)

        app.command(**settings)(run)
        return body

    return registered


def examples(*commands: str) -> str:
    """Return the end of a command's help: what one would type."""
    return "\n".join(["Examples:", "", *(f"- `placement {command}`" for command in commands)])


def out() -> Console:
    """Return the console for results; where nobody reads a screen no sentence is broken."""
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    return _console(width=None if has_width else UNBROKEN)


def err() -> Console:
    """Return the console for progress and errors."""
    return _console(stderr=True, soft_wrap=True)


def _console(**settings: Any) -> Console:
    """Return a console that prints texts as they are: names in brackets are names, not markup."""
    return Console(highlight=False, markup=False, emoji=False, **settings)


def guarded(run: Callable[[], int], tell: Callable[[PlacementError], None] | None = None) -> None:
    """Run a command's body and exit with its code; errors become messages, never tracebacks.

    tell: tells an error in a way of the command's own.
    """
    try:
        code = run()
    except (InputError, ResultsError, SourceError) as error:
        (tell or _print_error)(error)
        code = BAD_INPUT
    except PlacementError as error:
        (tell or _print_error)(error)
        code = FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except (typer.Exit, typer.Abort, typer.BadParameter, OutputError):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        err().print(defect(error), style="red")
        code = FAILED
    raise typer.Exit(code)


def defect(error: Exception) -> str:
    """Say that an error was foreseen nowhere, where it arose, and how to see more of it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = printable(f"{type(error).__name__}: {error}"[:500])
    return (
        f"this is a defect: {what} (in {os.path.basename(place.filename)}, line {place.lineno}); "
        f"report it with the command and its files, and with what {TRACEBACK}=1 shows"
    )


def _print_error(error: PlacementError) -> None:
    expected = isinstance(error, InputError | ResultsError | SourceError)
    text = str(error) if expected else f"{type(error).__name__}: {error}"
    err().print(text, style="red")


def _log_error(error: PlacementError) -> None:
    from pipeline.cli.progress import log

    log("error", message=str(error))


def _forget_impossible_width() -> None:
    """Take a COLUMNS that is no width for unset; at 0 nothing at all would be printed."""
    columns = os.environ.get("COLUMNS", "")
    if not re.fullmatch("0*[1-9][0-9]{0,5}", columns):
        os.environ.pop("COLUMNS", None)


def register() -> None:
    """Let every command register itself; each imports its heavy parts only when it runs."""
    for module in COMMANDS:
        import_module(f"pipeline.cli.{module}")


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line."""
    # Matrices here are small: threads of the linear algebra would only wait for each other, and
    # on a busy machine for minutes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _forget_impossible_width()
    register()
    take_over()
    try:
        app(arguments)
    except ReaderLeftError:
        give_up_output()
        sys.exit(READER_LEFT)
    except OutputError as error:
        give_up_output()
        err().print(str(error), style="red")
        sys.exit(FAILED)
