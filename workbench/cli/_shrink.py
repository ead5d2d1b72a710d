"""The command that makes a checkpoint smaller than memory could hold it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import Json
from workbench.cli._progress import Bar

if TYPE_CHECKING:
    from workbench.shrink._under_way import Progress

WORST = 5  # layers that are printed


def shrink(
    source: Annotated[Path, typer.Argument(help="A transformers folder with safetensors, of any size; it is only read")],
    destination: Annotated[Path, typer.Argument(help="A new folder, or one that this command began")],
    step: Annotated[list[str], typer.Option(help="As in 'weight_only bits=4 group_size=128'; repeat in order")],
    shard: Annotated[float, typer.Option(min=0.001, help="GB of the source that go into one file: what a kill can cost")] = 2.0,
    calibration: Annotated[Path | None, typer.Option(help="A text file, for steps that look at activations")] = None,
    texts: Annotated[int, typer.Option(min=1, help="How many pieces of it")] = 128,
    length: Annotated[int, typer.Option(min=2, help="Tokens of a piece")] = 512,
    perplexity: Annotated[Path | None, typer.Option(help="A text file on which source and result are compared, block by block")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Compress a checkpoint that needn't fit in memory: tensor by tensor, file by file. The same command goes on after a kill.

    Tensor by tensor: weight_only (method=rtn), int8_dynamic, fp8, bfloat16; before them magnitude_prune (scope=layer), n_m_prune. Block by
    block, with --calibration: weight_only (method=gptq or awq); before it smooth_quant, wanda, sparse_gpt. Integers and 8-bit floats are written as compressed-tensors does, so transformers and vLLM open the folder. Embeddings, the output layer and routers stay.

    \b
    --json: the folder's shrink.json: {"schema", "job": {"fingerprint", "steps", "shard_bytes"}, "bytes_before", "bytes",
      "finished", "shards": {FILE: {"bytes", "sha256", "layers": [{"name", "bytes_before", "bytes", "relative_error",
      "zeros", "why_not": [reasons]}, or {"name": BLOCK, "output_error"}]}}}, and with --perplexity {"perplexity": {"source", "result"}}
    """
    from workbench.cli._text import say_json
    from workbench.part_text import part_record
    from workbench.shrink.shrink import Calibration
    from workbench.shrink.shrink import shrink as carry_out

    steps = [part_record("compress", text, where=f"step {index}") for index, text in enumerate(step)]
    calibrate = Calibration(calibration, length, texts) if calibration else None
    with _ShrinkProgress() as progress:
        record = carry_out(
            source, destination, steps, shard_bytes=int(shard * 1e9), calibration=calibrate, on_progress=progress
        )
    if perplexity:
        from workbench.shrink.perplexity import perplexity as measured

        folders = {"source": source, "result": destination}
        record = {
            **record,
            "perplexity": {name: measured(each, perplexity, length=length) for name, each in folders.items()},
        }
    if json:
        say_json(record)
    else:
        _say(record, destination)


class _ShrinkProgress(Bar):
    def __call__(self, progress: Progress) -> None:
        left = "" if progress.eta_seconds is None else f", {progress.eta_seconds:.0f} s left"
        text = f"{progress.done / 1e9:.2f} of {progress.total / 1e9:.2f} GB{left}  {progress.layer}"
        self.show(text, done=progress.done, total=progress.total, new=False)


def _say(record: Mapping[str, Any], destination: Path) -> None:
    from workbench.cli._text import console, or_dash, say_rows
    from workbench.wording import bytes_text

    layers = [layer for shard in record["shards"].values() for layer in shard["layers"]]
    changed = [layer for layer in layers if "bytes" in layer]
    measured = [
        layer for layer in changed if "relative_error" in layer
    ]  # steps that see activations tell of blocks instead
    worst = sorted(measured, key=lambda layer: -layer["relative_error"])[:WORST]
    rows = [(layer["name"], bytes_text(layer["bytes_before"]), bytes_text(layer["bytes"]), f"{layer['relative_error']:.2%}",
             or_dash(layer.get("zeros"), ".1%")) for layer in worst]  # fmt: skip
    head = ("moved most", "before", "after", "‖W − Ŵ‖ / ‖W‖", "zeros")
    if rows:
        say_rows(head, rows, numbers=head[1:])
    blocks = [layer for layer in layers if layer.get("output_error") is not None]
    moved = sorted(blocks, key=lambda layer: -layer["output_error"])[:WORST]
    if moved:
        lines = [(layer["name"], f"{layer['output_error']:.2%}") for layer in moved]
        say_rows(("block", "its output moved"), lines, numbers=("its output moved",))
    say = console().print
    ratio = record["bytes_before"] / record["bytes"]
    told = f"{bytes_text(record['bytes_before'])} → {bytes_text(record['bytes'])} ({ratio:.2f} × smaller)"
    say(f"{destination}: {told}, {len(changed)} tensors changed", markup=False)
    if perplexity := record.get("perplexity"):
        say(f"  perplexity {perplexity['source']:.4g} → {perplexity['result']:.4g}", markup=False)
    for layer in [layer for layer in layers if layer.get("why_not")][:WORST]:
        say(f"  {layer['name']} was left alone by a step: {'; '.join(layer['why_not'])}", markup=False)
