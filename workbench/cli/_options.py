"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[Path, typer.Option("--store", envvar="WORKBENCH_STORE", help="Folder of the runs")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; its fields are listed above")]
JobFile = Annotated[Path | None, typer.Argument(metavar="[JOB.json]", help="A whole job, or give the options below")]
Model = Annotated[str | None, typer.Option(help="As in 'lenet_5' or 'resnet depth=8'")]
Data = Annotated[str | None, typer.Option(help="As in 'digits' or 'digits fold=0'")]
Step = Annotated[list[str] | None, typer.Option(help="One step, as in 'train epochs=20'; repeat in order")]
Format = Annotated[str | None, typer.Option(help="As in 'onnx' (the default) or 'pt2'")]
Metrics = Annotated[list[str] | None, typer.Option(help="As in 'size,quality' or 'latency batch=32'; repeatable")]
Seed = Annotated[int | None, typer.Option(help="Seed of the whole job (default 0)")]
Layout = Annotated[str | None, typer.Option(help="Spread training over processes, as in 'hybrid shard=2 tensor=2'")]
Launcher = Annotated[str | None, typer.Option(help="How it is started, as in 'torchrun nproc=4' (default: process)")]
HERE = Path("runs")


def exit_unless(done: bool) -> None:
    """End with exit code 1 when what was asked for wasn't reached."""
    if not done:
        raise typer.Exit(1)
