"""How others ask a model that is served: lines to copy for a shell, plain Python and Triton's client."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import orjson


def clients(url: str, grpc: str, token: str, model: str, inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return title → text that works as it stands in an environment that has what it imports; `inputs` are arrays by name."""
    name, array = next(iter(inputs.items()))
    shape, zeros = list(array.shape), "FP32" if array.dtype.kind == "f" else "INT64"
    request = {"inputs": [{"name": name, "shape": shape, "datatype": zeros, "data": _short(array)}]}
    body = orjson.dumps(request).decode()
    curl = f"""curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\
  -d '{body}' \\
  {url}/v2/models/{model}/infer"""
    plain = f"""import json, urllib.request
request = {body}
asked = urllib.request.Request("{url}/v2/models/{model}/infer", json.dumps(request).encode(),
                               {{"Authorization": "Bearer {token}", "Content-Type": "application/json"}})
print(json.load(urllib.request.urlopen(asked))["outputs"])"""
    triton = f"""import numpy as np, tritonclient.grpc as triton      # pip install 'tritonclient[grpc]'
given = triton.InferInput("{name}", {shape}, "{zeros}")
given.set_data_from_numpy(np.zeros({shape}, np.{array.dtype}))
client = triton.InferenceServerClient("{grpc}")
print(client.infer("{model}", [given], headers={{"authorization": "Bearer {token}"}}).get_response())"""
    return {"curl": curl, "Python": plain, "tritonclient, gRPC": triton}


def _short(array: Any) -> list[float]:
    """Return values with three digits: lines to copy, not to compute with."""
    flat = array.ravel().tolist()
    return [float(f"{value:.3g}") for value in flat] if array.dtype.kind == "f" else flat


def folded(texts: Mapping[str, str]) -> str:
    """Return HTML that folds each text away, to be selected and copied."""
    return "".join(
        f'<details class="wb-client"><summary>{html.escape(title)}</summary><pre tabindex="0">{html.escape(text)}</pre></details>'
        for title, text in texts.items()
    )
