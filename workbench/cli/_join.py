"""The command by which another host takes part in a job: workbench join RUN --host 1"""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli._options import HERE, Store, exit_unless


def join(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run, as its first host tells it")],
    host: Annotated[int, typer.Option(min=0, help="Which of the hosts this one is: 1, 2 …; 0 = in place of a first one that is lost")] = 1,
    interface: Annotated[str, typer.Option(help="This host's network interface towards the others, as in eth0")] = "",
    address: Annotated[str, typer.Option(help="HOST:PORT of this one where all meet from now on; for --host 0 on another machine")] = "",
    store: Store = HERE,
) -> None:  # fmt: skip
    """Take part in a run with this host, until it has ended: it was started with --launcher 'torchrun hosts=2 address=HOST:PORT'.

    A host that was lost takes part again by the same command, and all go on from the last checkpoint; so does a lost first host
    by --host 0, on another machine with --address. The store lies on a disk
    that every host sees, under the same path. Ctrl-C leaves.
    """
    from workbench.errors import InvalidInput
    from workbench.launch import _host
    from workbench.store import DRAFT

    draft = (store / f"{DRAFT}{run}").absolute()
    if not draft.is_dir():
        raise InvalidInput([f"{run} isn't under way in {store}"], next_move="start it on the first host")
    code = _host.take_part(
        draft, host, interface=interface, address=address, say=lambda text: typer.echo(text, err=True)
    )
    exit_unless(code == 0)
