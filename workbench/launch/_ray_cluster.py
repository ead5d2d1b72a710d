"""A connection to a Ray cluster that is there already: what of it is free, and which errors mean that a machine was lost.

A token that the cluster asks for is read by Ray itself, from RAY_AUTH_MODE and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH).
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput, MissingExtra
from workbench.launch import _order

MOST_LOSSES = 3  # so often may a piece of work lose its machine before that counts as its own failure
AMOUNTS = {"cpu": "CPU", "gpu": "GPU", "memory": "memory"}  # as people write them, as Ray does


def connect(address: str) -> None:
    """Be connected to a cluster (empty = RAY_ADDRESS, or the one on this machine); a process has one at a time.

    Raises MissingExtra without Ray, InvalidInput where there is no such cluster.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra("a cluster needs ray", next_move="pip install 'workbench[ray]'")
    import ray

    if ray.is_initialized():
        here = ray.get_runtime_context().gcs_address
        if address and address != here:
            raise InvalidInput(
                [f"this process is connected to the Ray cluster at {here} already, not to {address}"],
                next_move="use another process, or ray.shutdown()",
            )
        return
    _tell_on_stderr()
    try:
        ray.init(
            address or "auto",
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
            runtime_env=_found_modules(),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InvalidInput(
            [f"no Ray cluster at {address or 'RAY_ADDRESS or on this machine'}: {first_line(error)}"],
            next_move="`ray start --head` starts one; --address HOST:6379 names another; its token goes into RAY_AUTH_TOKEN",
        ) from None


@functools.cache
def _tell_on_stderr() -> None:
    """Let Ray tell of lost machines on stderr: it prints that among our JSON, whatever `log_to_driver` says."""
    from ray._private import worker

    own: Any = worker
    print_to = own.print_to_stdstream
    own.print_to_stdstream = lambda data, **named: print_to({**data, "is_err": True}, **named)


def close() -> None:
    """Give the connection back."""
    import ray

    ray.shutdown()


def address_problems(address: str, option: str) -> list[str]:
    """Return why an address can't be one of a cluster; empty when it may be."""
    if address.startswith("ray://"):
        return [f"{option}: ray:// is the protocol of Ray's client, name the cluster itself as in HOST:6379"]
    return []


def asked(threads: int, resources: Mapping[str, float]) -> dict[str, float]:
    """Return what a piece of work asks for, by Ray's names: a core for each thread, unless `resources` say otherwise."""
    return {"CPU": float(threads), **{AMOUNTS.get(name, name): float(each) for name, each in resources.items()}}


def num_places(wanted: Mapping[str, float]) -> int:
    """Return how many pieces of work fit at once on the cluster; raises InvalidInput when not one does."""
    import ray

    found = places(wanted, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    if not found:
        raise InvalidInput(
            [f"no machine of the cluster has {in_words(wanted)}, which one row or job asks for"],
            next_move="`ray status` says what there is",
        )
    return found


def places(wanted: Mapping[str, float], nodes: Iterable[Mapping[str, float]]) -> int:
    """Return how often `wanted` fits on nodes with such resources, each time on one of them as a whole."""
    needed = {name: amount for name, amount in wanted.items() if amount}
    return sum(min((int(node.get(name, 0) // amount) for name, amount in needed.items()), default=1) for node in nodes)


def in_words(wanted: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in wanted.items() if amount)


def remote(function: Any, wanted: Mapping[str, float], *, name: str, where: Any = "DEFAULT") -> Any:
    """Return a function as a task of Ray, which holds it back until what it asks for is free, and never tries it again.

    `where` is a scheduling strategy of Ray's.
    """
    import ray

    rest = {each: amount for each, amount in wanted.items() if each not in AMOUNTS.values()}
    return ray.remote(function).options(
        num_cpus=wanted["CPU"], num_gpus=wanted.get("GPU"), memory=wanted.get("memory"), resources=rest, max_retries=0, name=name,
        scheduling_strategy=where,
    )  # fmt: skip


def losses() -> tuple[type[BaseException], ...]:
    """Return the errors that mean: the machine, or Ray's own process there, is gone."""
    from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RaySystemError, WorkerCrashedError

    return WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError, RaySystemError


def unseen(*paths: str) -> list[str]:
    """Return which of the paths can't be seen from this machine; asked inside a task."""
    here = socket.gethostname()
    return [f"{path} isn't there on {here}" for path in _absent(paths)]


def hear_cancel() -> None:
    """Let `ray.cancel` become a KeyboardInterrupt in this task.

    It comes as SIGINT, which every process of a cluster ignores that was started in the background of a script.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _absent(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not Path(path).exists()]


def _found_modules() -> dict[str, Any]:
    """Let workers find the modules that this process finds beside what is installed: the folder is shared anyway."""
    path = _order.environment(1)["PYTHONPATH"]
    return (
        {"env_vars": {"PYTHONPATH": os.path.pathsep.join(os.path.abspath(each) for each in path.split(os.pathsep))}}
        if path
        else {}
    )
