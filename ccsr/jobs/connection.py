"""Reaching a cluster of Ray, or starting one on this machine."""

import importlib
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ccsr.distribution import remedy

LOCAL = "ray"
SECONDS = 30  # that a cluster may take to answer
TRIES = 2  # in that time: Ray's server for clients now and then forgets one
_ADDRESS = re.compile(r"(?:ray://)?[^\s/:]+:\d+")
_QUIET = {"log_to_driver": False, "logging_level": "ERROR"}


def check(address: str) -> str:
    """Give an address back, if it can be one.

    Raises:
        ValueError: if not.
    """
    if address != LOCAL and not _ADDRESS.fullmatch(address):
        raise ValueError(
            f"expected {LOCAL}, which starts a cluster on this machine, or the address of one, "
            f"such as ray://HOST:10001, got {address!r}"
        )
    return address


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Give the module `ray`, connected to a cluster, to the end of the block.

    A cluster that is started here can be reached from this machine alone, by whoever knows a word
    that is made anew each time. Ray's usage statistics are off unless the user turned them on.

    Args:
        address: `ray` for a cluster of this machine, else see `check`.

    Raises:
        RuntimeError: if Ray is not installed, or the cluster cannot be started or does not answer.
    """
    settings = _settings(address)
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)  # Ray reads them when it is imported
    try:
        try:
            ray = importlib.import_module("ray")
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"--on needs the package ray, which is not installed: run {remedy('ray')}"
            ) from error
        if address == LOCAL:
            _start(ray)
        else:
            _connect(ray, address)
        try:
            yield ray
        finally:
            ray.shutdown()
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


def _start(ray: Any) -> None:
    """Start a cluster; once more if that fails, since a busy machine may take over Ray's 30 s."""
    for last in (False, True):
        try:
            ray.init(address="local", include_dashboard=False, **_QUIET)
        except Exception as error:  # of no kind of its own
            ray.shutdown()
            if last:
                reason = " ".join(str(error).split())
                raise RuntimeError(
                    f"no cluster can be started on this machine: {reason} (is it busy, or short of "
                    "memory? where nothing else helps leave out --on)"
                ) from error
        else:
            return


def _settings(address: str) -> dict[str, str]:
    """What the environment should say to Ray; what the user says in it comes first."""
    wanted = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    if not _statistics_wanted():
        wanted["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == LOCAL:
        wanted["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on all systems: stay on this machine
        if "RAY_AUTH_MODE" not in os.environ:
            wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def _statistics_wanted() -> bool:
    """Whether the user turned Ray's usage statistics on, in Ray's own file."""
    path = os.environ.get("RAY_USAGE_STATS_CONFIG_PATH", "~/.ray/config.json")
    try:
        return json.loads(Path(path).expanduser().read_text()).get("usage_stats") is True
    except (OSError, ValueError, AttributeError):
        return False


def _try(address: str) -> None:
    """Connect in a process of its own: where nobody answers Ray waits long, or ends the process."""
    words = f"import ray; ray.init(address={address!r}, logging_level='ERROR')"
    for _ in range(TRIES):
        try:
            tried = subprocess.run(
                [sys.executable, "-c", words],
                capture_output=True, text=True, timeout=SECONDS / TRIES, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            continue
        if not tried.returncode:
            return
        reason = (tried.stderr.strip().splitlines() or ["no reason is known"])[-1]
        raise RuntimeError(f"the cluster at {address} cannot be reached: {reason}")
    raise RuntimeError(
        f"the cluster at {address} does not answer within {SECONDS} s: look at the address, and "
        "whether it runs"
    )


def _connect(ray: Any, address: str) -> None:
    _try(address)
    for last in (False, True):
        try:
            ray.init(address=address, **_QUIET)
        except ConnectionError as error:
            if last:
                raise RuntimeError(
                    f"the cluster at {address} cannot be reached: {error}"
                ) from error
        else:
            return
