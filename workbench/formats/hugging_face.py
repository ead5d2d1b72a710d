"""A transformers folder: config.json and safetensors, opened by from_pretrained."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.formats import _stored
from workbench.formats._loading import COMPARES_ITSELF
from workbench.nouns import ModelCard, StoredWeight
from workbench.part import Decoder, Format, SaveContext, Session

if TYPE_CHECKING:
    from torch import nn

CONFIG_FILE = "config.json"
INPUTS_FILE = (
    "inputs.json"  # how our inputs become the model's: names; size, channels, mean, deviation of images; cache
)
CACHE_PROGRAM = "kv_cache.py"


class HuggingFace(Format):
    """What transformers itself would save, plus inputs.json; float32 or bfloat16 weights."""

    title = "Hugging Face (transformers)"
    source = "transformers save_pretrained / from_pretrained, safetensors"
    runtime = ("transformers", "torch", "numpy", "safetensors")
    requires = ("transformers", "safetensors")
    tolerance = 1e-3
    decodes = True

    load_script = (
        '''"""Open this model with transformers alone; run as a program, compare it with its recorded output."""
import json, pathlib, runpy, sys
import numpy, torch, transformers

here = pathlib.Path(__file__).resolve().parent
card, how = (json.loads((here / name).read_text()) for name in ("card.json", "inputs.json"))


def open_model(threads=0):
    """Return a function of input arrays by name that gives the output array; 0 threads = as many as torch takes."""
    if threads:
        torch.set_num_threads(threads)
    architecture = json.loads((here / "config.json").read_text())["architectures"][0]
    model = getattr(transformers, architecture).from_pretrained(here, local_files_only=True, dtype="auto").eval()

    if how.get("cache"):
        logits = runpy.run_path(str(here / "kv_cache.py"))["logits"]

    def answer(arrays):
        inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if "pixels" in inputs and how["channels"]:
            inputs["pixels"] = inputs["pixels"].expand(-1, how["channels"], -1, -1)
        if "pixels" in inputs and how["size"]:
            inputs["pixels"] = torch.nn.functional.interpolate(inputs["pixels"], how["size"], mode="bilinear")
        if "pixels" in inputs and how["mean"]:
            mean, deviation = (torch.tensor(how[name]).view(1, -1, 1, 1) for name in ("mean", "deviation"))
            inputs["pixels"] = (inputs["pixels"] - mean) / deviation
        named = {how["names"][name]: x.to(model.dtype) if x.is_floating_point() else x for name, x in inputs.items()}
        with torch.no_grad():
            if how.get("cache"):
                return logits(model, named["input_ids"], **how["cache"]).float().numpy()
            return model(**named).logits.float().numpy()

    return answer
'''
        + COMPARES_ITSELF
    )

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = []
        if card.library != "transformers":
            reasons.append(f"{card.name} is not a transformers model: save_pretrained does not apply")
        if card.structure == "reshaped":
            reasons.append(
                "from_pretrained would build the original shapes, and layers were removed; choose pt2 or onnx"
            )
        if card.precision.startswith(("int", "float8", "binary", "ternary")):
            reasons.append(f"{card.precision} is not lowered to this format; choose onnx")
        if card.precision == "bfloat16" and any(each.prunable and each.precision == "float32" for each in card.layers):
            reasons.append("from_pretrained loads one dtype: skip must be empty, or choose pt2")
        return reasons

    def save(self, model: nn.Module, folder: Path, ctx: SaveContext) -> dict[str, Any]:
        import torch
        from transformers import PreTrainedModel

        inner: Any = getattr(model, "inner", None)
        if not isinstance(inner, PreTrainedModel):
            raise WorkbenchError(
                "there is no transformers model inside this one", next_move="choose format pt2 or onnx"
            )
        kept = {name: how for name, how in ctx.quantization.items() if how.scheme == "cache"}
        simulated = _stored.is_simulated(ctx.quantization)
        if len(kept) < len(ctx.quantization) and not simulated:
            inner = torch.nn.Module.to(inner, torch.bfloat16)
        inner.save_pretrained(folder)
        how = _how(model, list(ctx.example))
        found = _stored.of_tensors(inner.state_dict(), simulated=simulated)
        for each in itertools.islice(kept.values(), 1):  # keys and values are kept alike
            how["cache"] = {"bits": each.bits, "group": each.group_size}
            found["keys_and_values"] = f"int{each.bits}, scales of a channel of {each.group_size} keys and of a value"
            (folder / CACHE_PROGRAM).write_text((Path(__file__).parent / "_kv_cache.py").read_text())
        (folder / INPUTS_FILE).write_text(json.dumps(how, indent=2))
        return found

    def open(self, folder: Path, *, threads: int = 1) -> Session:
        return _session(_loaded(folder), (folder / INPUTS_FILE).read_bytes(), threads)

    def open_from(self, files: Mapping[str, bytes], *, threads: int = 1) -> Session:
        return _session(_loaded_from(files), files[INPUTS_FILE], threads)

    def decoder(self, folder: Path, *, threads: int = 1) -> Decoder | None:
        import torch

        from workbench.formats import _decoding

        torch.set_num_threads(threads)
        return _decoding.decoder(_loaded(folder), json.loads((folder / INPUTS_FILE).read_bytes()).get("cache"))

    def decoder_from(
        self, files: Mapping[str, bytes], *, threads: int = 1
    ) -> tuple[Session, Decoder | None]:  # None = it is no causal language model
        from workbench.formats import _decoding

        loaded = _loaded_from(files)
        return _session(loaded, files[INPUTS_FILE], threads), _decoding.decoder(
            loaded, json.loads(files[INPUTS_FILE]).get("cache")
        )

    def scrub(self, folder: Path) -> list[str]:
        """config.json says where the model came from."""
        path = folder / CONFIG_FILE
        config = json.loads(path.read_text())
        removed = [name for name in ("_name_or_path", "name_or_path") if config.pop(name, "")]
        path.write_text(json.dumps(config, indent=2, sort_keys=True))
        return [f"{CONFIG_FILE}: {name}" for name in removed]

    def stored(self, folder: Path) -> dict[str, StoredWeight]:
        """Names are those of the saved module, whose transformers model is its `inner`."""
        return _stored.weights_of({f"inner.{name}": tensor for name, tensor in _loaded(folder).state_dict().items()})


def _session(loaded: Any, inputs_file: bytes, threads: int) -> Session:
    import torch

    torch.set_num_threads(threads)
    how = json.loads(inputs_file)

    def session(inputs: Any) -> dict[str, Any]:
        with torch.no_grad():
            given = {name: torch.from_numpy(array) for name, array in inputs.items()}
            if "pixels" in given:
                given["pixels"] = _fitted(given["pixels"], how)
            named = {how["names"][name]: _cast(tensor, loaded.dtype) for name, tensor in given.items()}
            if how.get("cache"):
                from workbench.formats import _kv_cache

                return {"logits": _kv_cache.logits(loaded, named["input_ids"], **how["cache"]).float().numpy()}
            return {"logits": loaded(**named).logits.float().numpy()}

    return session


def _loaded(folder: Path) -> Any:
    made = _architecture((folder / CONFIG_FILE).read_bytes())
    return made.from_pretrained(folder, local_files_only=True, dtype="auto").eval()


def _loaded_from(files: Mapping[str, bytes]) -> Any:
    from safetensors import torch as safetensors

    made = _architecture(files[CONFIG_FILE])
    config = made.config_class.from_dict(json.loads(files[CONFIG_FILE]))
    shards = [safetensors.load(content) for name, content in files.items() if name.endswith(".safetensors")]
    weights = {name: tensor for shard in shards for name, tensor in shard.items()}
    return made.from_pretrained(None, config=config, state_dict=weights, dtype=config.dtype).eval()


def _architecture(config: bytes) -> Any:
    import transformers

    return getattr(transformers, json.loads(config)["architectures"][0])


def _how(model: Any, names: list[str]) -> dict[str, Any]:
    """Describe what stands between our inputs and the inner model's."""
    fit = getattr(model, "fit", None)
    renamed = model.renamed or {}
    told: dict[str, Any] = {"names": {name: renamed.get(name, name) for name in names}}
    told |= {"size": getattr(fit, "size", None), "channels": getattr(fit, "channels", None)}
    for name in ("mean", "deviation"):
        values = getattr(fit, name, None)
        told[name] = None if values is None else values.flatten().tolist()
    return told


def _fitted(pixels: Any, how: dict[str, Any]) -> Any:
    import torch

    if how["channels"]:
        pixels = pixels.expand(-1, how["channels"], -1, -1)
    if how["size"]:
        pixels = torch.nn.functional.interpolate(pixels, how["size"], mode="bilinear", align_corners=False)
    if how["mean"]:
        mean, deviation = (torch.tensor(how[name]).view(1, -1, 1, 1) for name in ("mean", "deviation"))
        pixels = (pixels - mean) / deviation
    return pixels


def _cast(tensor: Any, dtype: Any) -> Any:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
