"""Connects to a Ray cluster, or starts one that only this machine can reach."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.services import canonicalize_bootstrap_address
from ray.exceptions import RayError

from pipeline.errors import Fault, InputError, missing

# Ray tries so often, a second apart, before it gives a cluster up; by itself it tries 20 times.
TRIES_TO_CONNECT = 4


def start_ray(address: str | None = None, num_cpus: int | None = None) -> None:
    """Connect to a cluster, or start a local one that listens on 127.0.0.1 alone.

    A cluster's workers get this package as it is here; what it needs must be installed there.
    Raises InputError where there is no cluster at the address, or one that asks for a token that
    this process does not have, and where Ray does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        _look_for(address)
        # Something listens there: what refuses a connection now will refuse it in a minute, too.
        ray_constants.NUM_REDIS_GET_RETRIES = TRIES_TO_CONNECT
        try:
            with _without_stderr():
                ray.init(address=address, runtime_env=_this_package(), **common)
        except (ConnectionError, ValueError, RuntimeError, RayError) as error:
            raise _unreachable(address, _first_line(error) + _about_tokens()) from None
        return
    _stay_on_this_machine()
    # Without a token Ray makes one and writes it to the home folder, for every later Ray to find.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        ray.init(
            address="local",  # never a cluster that someone else has started on this machine
            num_cpus=num_cpus or os.cpu_count(),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **common,
        )
    except Exception as error:  # Ray raises no class of its own where its processes do not start
        raise _not_started(error) from error


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Let nothing reach standard error: Ray's C++ part warns there of every try that fails.

    It heeds no log level before it is connected, and what went wrong is in the exception.
    """
    try:
        kept = os.dup(2)
    except OSError:  # it is closed already
        yield
        return
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _this_package() -> dict[str, Any]:
    """Return the runtime environment in which workers run the same code as the driver."""
    folder = Path(__file__).parent.parent
    return {"py_modules": [str(folder)], "excludes": ["__pycache__"]}


def check_cpus(cpus: int) -> None:
    """Raise InputError where no node has so many CPUs: a task that asks for them never starts.

    A cluster whose nodes with CPUs are still to come is given the benefit of the doubt.
    """
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    most = int(max((n["Resources"].get("CPU", 0) for n in nodes if n["Alive"]), default=0))
    if 0 < most < cpus:
        reason = f"must be at most {most}, the CPUs of Ray's largest node"
        raise InputError([Fault("config", "solver.threads", reason, cpus)])


def _stay_on_this_machine() -> None:
    """Make a local Ray listen on 127.0.0.1 alone; else it opens its ports to the whole network.

    Ray replaces a loopback address by the machine's own unless clusters are off, which it looks
    up when it is imported and, in the processes that it starts, in the environment.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def _look_for(address: str) -> None:
    """Raise InputError where nothing listens at an address; Ray would look for minutes."""
    place = _place_of(address)
    host, colon, port = place.rpartition(":")
    if not colon:
        return
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        raise _unreachable(address, "the port must be a number up to 65535")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, UnicodeError) as error:
        asked = "" if place == address else f"{place}: "
        raise _unreachable(address, f"{asked}{error}") from None


def _place_of(address: str) -> str:
    """Return the host:port at which Ray looks: that of `auto`, and this machine's for a loopback.

    Raises InputError where it knows of none.
    """
    named = (os.environ.get("RAY_ADDRESS") or address) if address == "auto" else address
    source = "" if named == address else f"RAY_ADDRESS is {named}: "
    _, has_scheme, place = named.partition("://")
    if (place if has_scheme else named).startswith(":") or named.endswith("://"):
        raise _unreachable(address, f"{source}must be host:port, or ray://host:port")
    if has_scheme:
        return place
    try:
        found: str | None = canonicalize_bootstrap_address(named)
    except (ConnectionError, ValueError) as error:
        raise _unreachable(address, f"{source}{_first_line(error)}") from None
    if found is None:
        raise _unreachable(address, f"{source}leave it out to start a Ray on this machine alone")
    return found


def _about_tokens() -> str:
    """Say what to do about a cluster that may ask for a token, where none is going to be sent.

    Ray sends a token to an address that was named only where it is told to.
    """
    if os.environ.get("RAY_AUTH_MODE") == "token":
        return "; the token here (ray get-auth-token) must be that of the cluster"
    return "; if the cluster asks for a token, set RAY_AUTH_MODE=token"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".:")


def _unreachable(address: str, reason: str) -> InputError:
    return InputError([Fault("command line", "--address", f"no Ray there: {reason}", address)])


def _not_started(error: Exception) -> InputError:
    reason = (
        f"did not start: {_first_line(error)}; see that the working folder exists and that "
        "memory, processes and the folder for temporary files are not at their limit"
    )
    return InputError([missing("this machine", "Ray", reason)])


def stop_ray() -> None:
    """Disconnect from Ray, and end what `start_ray` started."""
    ray.shutdown()
