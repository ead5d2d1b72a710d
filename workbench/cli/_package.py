"""The command that hands a model over: workbench package RUN OUT.tar"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli._options import HERE, Json, Store


def package(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run whose model is handed over")],
    to: Annotated[Path, typer.Argument(metavar="OUT.tar", help="A new file")],
    keys: Annotated[Path | None, typer.Option("--keys", envvar="WORKBENCH_KEYS", help="Sign the artifact with the newest")] = None,
    name: Annotated[str, typer.Option(help="Name of the model on a server; default: that of the model")] = "",
    image: Annotated[str, typer.Option(help="Image that kserve.yaml names; default: the model's name")] = "",
    only_plan: Annotated[bool, typer.Option("--plan", help="Say the sizes, write nothing")] = False,
    store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Write one file with all that a model needs elsewhere, edge devices too: artifact, requirements, measuring, client, model card.

    On the other machine `python measure.py` writes RESULT.json, and `workbench import RESULT.json` here adds that machine.

    \b
    --json: {"schema", "file" (null with --plan), "bytes", "signer", "files": [{"name", "what", "num_bytes"}]}
    """
    from workbench import package as packaging
    from workbench.cli._input import find_run
    from workbench.cli._text import say_json, say_rows
    from workbench.store import Store as RunStore
    from workbench.wording import bytes_text

    planned = packaging.plan(find_run(RunStore(store), run), keys=keys, name=name, image=image)
    rows = [(f"{planned.name}/{file.name}", bytes_text(file.num_bytes), file.what) for file in planned.files]
    if not json:
        say_rows(("file", "size", "what"), [*rows, ("", bytes_text(planned.num_bytes), "all")], numbers=("size",))
    written = None if only_plan else packaging.write(planned, to)
    if json:
        files = [{"name": file.name, "what": file.what, "num_bytes": file.num_bytes} for file in planned.files]
        say_json(
            {"file": written and str(written), "bytes": planned.num_bytes, "signer": planned.signer, "files": files}
        )
    elif written:
        typer.echo(f"{written}: {bytes_text(written.stat().st_size)}")
