"""Where work is carried out, said in the same words by every command: here, or on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from workbench.part import Launcher

Executor = Annotated[
    str, typer.Option("--executor", help="local, or ray: on a Ray cluster that sees all folders under these paths")
]
Address = Annotated[
    str,
    typer.Option(
        "--address", metavar="HOST:PORT", help="Of the cluster; default RAY_ADDRESS, or the one on this machine"
    ),
]
Resources = Annotated[
    list[str] | None,
    typer.Option("--resources", metavar="NAME=AMOUNT", help="What each asks the cluster for, as in gpu=1; repeatable"),
]


def launcher(executor: str, address: str, resources: list[str] | None) -> Launcher | None:
    """Return what starts jobs so; None = a process on this machine. Raises InvalidInput with every problem."""
    from workbench import catalog
    from workbench.batch._options import Options, amounts

    found = amounts(resources or (), "--resources")
    Options(executor=executor, address=address, resources=found).settled()
    if executor == "local":
        return None
    return catalog.make("launch", {"use": executor, "address": address, "resources": found})  # type: ignore[return-value]
