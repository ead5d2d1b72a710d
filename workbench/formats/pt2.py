"""PyTorch's own exported program: one .pt2 file, opened by torch alone."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from workbench.formats import _export, _stored, _xnor_kernel
from workbench.formats._loading import COMPARES_ITSELF
from workbench.nouns import ModelCard, Quantization, StoredWeight
from workbench.part import Format, SaveContext, Session

if TYPE_CHECKING:
    from torch import nn

FILE = "model.pt2"
KERNEL = "xnor.py"


class Pt2(Format):
    """Keeps float32, bfloat16, 8-bit float and packed integer weights; the program runs in torch's eager kernels.

    Packed weights are small on disk and in memory, and slower than float32 ones: each call widens them first. Where inputs
    are signs too, bits are counted instead, by xnor.py beside the program: with numba if it is there, else with NumPy.
    """

    title = "torch.export (.pt2)"
    source = "torch.export, PyTorch 2"
    runtime = ("torch", "numpy")
    tolerance = 1e-3
    is_program = True

    load_script = (
        '''"""Open this model with torch alone; run as a program, compare it with its recorded output."""
import json, pathlib, runpy, sys
import numpy, torch

here = pathlib.Path(__file__).resolve().parent
card = json.loads((here / "card.json").read_text())
names = [each["name"] for each in card["inputs"]]
if (here / "xnor.py").exists():
    kernels = runpy.run_path(str(here / "xnor.py"))["register"]()


def open_model(threads=0):
    """Return a function of input arrays by name that gives the output array; 0 threads = as many as torch takes."""
    if threads:
        torch.set_num_threads(threads)
    model = torch.export.load(str(here / "model.pt2")).module()

    def answer(inputs):
        with torch.no_grad():
            return model(*(torch.from_numpy(inputs[name]) for name in names)).numpy()

    return answer
'''
        + COMPARES_ITSELF
    )

    def why_not(self, card: ModelCard) -> list[str]:
        if card.precision in ("int8 dynamic", "int8 static", "int4 static"):
            return [f"{card.precision} is not lowered to .pt2; choose format onnx"]
        return []

    def save(self, model: nn.Module, folder: Path, ctx: SaveContext) -> dict[str, Any]:
        import torch

        from workbench.formats import _pt2_archive

        simulated = _stored.is_simulated(ctx.quantization)
        if ctx.quantization and not simulated:
            model = _lowered(model, ctx.quantization)
        if any(how.activations == "signs" for how in ctx.quantization.values()):
            (folder / KERNEL).write_text(Path(_xnor_kernel.__file__).read_text())
            _xnor_kernel.register()
        program = _export.export(model, ctx.example)
        _forget_sources(program)
        torch.export.save(program, str(folder / FILE))
        return _stored.of_tensors(program.state_dict, packed=_pt2_archive.packed(folder / FILE), simulated=simulated)

    def open(self, folder: Path, *, threads: int = 1) -> Session:
        names = _export.input_names((folder / "card.json").read_bytes())
        return _session(str(folder / FILE), names, threads, counts_bits=(folder / KERNEL).exists())

    def open_from(self, files: Mapping[str, bytes], *, threads: int = 1) -> Session:
        names = _export.input_names(files["card.json"])
        return _session(io.BytesIO(files[FILE]), names, threads, counts_bits=KERNEL in files)

    def unsafe(self, files: Mapping[str, IO[bytes]]) -> list[str]:
        from workbench.formats import _pt2_gate

        return _pt2_gate.problems(files[FILE]) if FILE in files else []

    def stored(self, folder: Path) -> dict[str, StoredWeight]:
        from workbench.formats import _pt2_archive

        return _pt2_archive.stored(folder / FILE)


def _session(file: Any, names: list[str], threads: int, *, counts_bits: bool) -> Session:
    import torch

    torch.set_num_threads(threads)
    if counts_bits:
        _xnor_kernel.register()
    program = torch.export.load(file).module()

    def session(inputs: Any) -> dict[str, Any]:
        with torch.no_grad():
            return {"logits": program(*(torch.from_numpy(inputs[name]) for name in names)).numpy()}

    return session


def _lowered(model: nn.Module, quantization: Mapping[str, Quantization]) -> nn.Module:
    """Return a module that stores its weights as recorded; packing leaves the given model as it is."""
    from workbench.formats import _packed_layers

    if all(how.scheme in ("weight_only", "float8", "signs") for how in quantization.values()):
        return _packed_layers.replace(copy.deepcopy(model), quantization)
    return _export.in_bfloat16(model, quantization)


def _forget_sources(program: Any) -> None:
    """Drop what only debugging reads, paths of this machine among it: stack traces, module paths, example inputs."""
    for node in program.graph.nodes:
        for name in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node"):
            node.meta.pop(name, None)
    program._example_inputs = None
