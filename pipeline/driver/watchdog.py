"""Ends the process of a point that does not come to its end; runs in the workers.

The solver has a time limit of its own. Where it does not keep it, nothing inside the process can
stop it: a solver in compiled code hears no exception. So the process ends itself, and says why
before it does.
"""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Where not even a Python thread gets to run, the interpreter's own watchdog ends the process.
SECONDS_TO_SAY_WHY = 10.0


@contextmanager
def ended_after(seconds: float, say_why: Callable[[], None]) -> Iterator[None]:
    """End this process if the block takes longer, after calling `say_why`."""
    timer = threading.Timer(seconds, _end, [say_why])
    timer.daemon = True
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds + SECONDS_TO_SAY_WHY, exit=True, file=nowhere)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            faulthandler.cancel_dump_traceback_later()


def _end(say_why: Callable[[], None]) -> None:
    try:
        say_why()
    finally:
        os._exit(1)
