"""config.pbtxt: what Triton wants to know of a model, made from an artifact's card and read again."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ArtifactError, MissingExtra
from workbench.open_inference import DATATYPES

FILE = "config.pbtxt"
MAX_BATCH = 64  # examples that are answered at once; further ones wait for the next turn
NON_FINITE = "workbench.non_finite"  # parameter: "allow" lets NaN and infinity in
REQUIRES = ("fastapi", "uvicorn", "httptools", "grpc", "grpc_health", "tritonclient", "prometheus_client", "limits")
# Format → (Triton's backend, the file it opens). The others are known to this server alone.
TRITON = {
    "onnx": ("onnxruntime", "model.onnx"), "openvino": ("openvino", "model.xml"), "pt2": ("pytorch", "model.pt2"),
}  # fmt: skip


def need_extra() -> None:
    """Raise MissingExtra with the command that installs what serving takes."""
    if absent := [name for name in REQUIRES if importlib.util.find_spec(name) is None]:
        raise MissingExtra(f"serving needs {', '.join(absent)}", next_move="pip install 'workbench[serve]'")


def made(name: str, card: Mapping[str, Any]) -> Any:
    """Return the ModelConfig of an artifact: its tensors, its backend, and whether requests may share a batch."""
    from tritonclient.grpc import model_config_pb2

    backend, file = TRITON.get(card["format"], (f"workbench_{card['format']}", ""))
    config = model_config_pb2.ModelConfig(name=name, backend=backend, default_model_filename=file)
    tensors = [*card["inputs"], *card["outputs"]]
    is_batched = all(each["shape"] and isinstance(each["shape"][0], str) for each in tensors)
    if is_batched:
        config.max_batch_size = MAX_BATCH
        if (
            "dynamic" not in card["precision"]["activations"]
        ):  # ranges are found over the batch: others would change the answer
            config.dynamic_batching.SetInParent()
    for kind, field in (("inputs", config.input), ("outputs", config.output)):
        for each in card[kind]:
            tensor = field.add(name=each["name"])
            tensor.data_type = model_config_pb2.DataType.Value(f"TYPE_{DATATYPES[each['dtype']]}")
            sizes = each["shape"][1:] if is_batched else each["shape"]
            tensor.dims.extend(size if isinstance(size, int) else -1 for size in sizes)
    return config


def text(config: Any) -> str:
    from google.protobuf import text_format

    return text_format.MessageToString(config)


def read(path: Path) -> Any:
    """Return the ModelConfig of a file; raises ArtifactError with the line that is wrong."""
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    try:
        return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ArtifactError(f"{path}: {error}", next_move="mend it, or add the run anew") from None


def parameter(config: Any, name: str) -> str:
    """Return a parameter's text; empty when it isn't there (to look it up would make it)."""
    return str(config.parameters[name].string_value) if name in config.parameters else ""


def wanted(config: Any, versions: list[int]) -> list[int]:
    """Return the versions that a config asks for, oldest first; without a policy the newest."""
    policy, ordered = config.version_policy, sorted(versions)
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return ordered
    if kind == "specific":
        return [version for version in ordered if version in set(policy.specific.versions)]
    return ordered[-max(1, policy.latest.num_versions) :]
