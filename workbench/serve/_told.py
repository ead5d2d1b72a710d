"""What the protocol tells of server and models: metadata, configuration, statistics."""

from __future__ import annotations

from typing import Any

import workbench
from workbench.serve._opening import Served
from workbench.serve._signature import Tensor
from workbench.serve.models import Models

EXTENSIONS = ("binary_tensor_data", "model_repository", "model_configuration", "statistics")


def server() -> dict[str, Any]:
    return {"name": "workbench", "version": workbench.__version__, "extensions": list(EXTENSIONS)}


def model(models: Models, name: str, version: str) -> dict[str, Any]:
    served = models.get(name, version)
    signature = served.signature
    return {
        "name": served.name,
        "versions": models.versions(name),
        "platform": served.config.backend,
        "inputs": [_tensor(each) for each in signature.inputs.values()],
        "outputs": [_tensor(each) for each in signature.outputs.values()],
    }


def config(served: Served) -> dict[str, Any]:
    from google.protobuf import json_format

    return json_format.MessageToDict(served.config, preserving_proto_field_name=True)


def statistics(models: Models, name: str, version: str) -> dict[str, Any]:
    if version:
        chosen = [models.get(name, version)]
    elif name:
        chosen = [models.get(name, each) for each in models.versions(name)]
    else:
        chosen = models.all()
    return {"model_stats": [each.statistics.to_json(each.name, each.version) for each in chosen]}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
