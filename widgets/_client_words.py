"""How others ask a model that is served: lines to copy for a shell, plain Python and Triton's client."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from workbench.open_inference import DATATYPES, infer_request

if TYPE_CHECKING:
    import numpy as np


def clients(url: str, grpc: str, token: str, model: str, inputs: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return title → text that works as it stands in an environment that has what it imports; `inputs` are arrays by name."""
    body = orjson.dumps(_short(infer_request(inputs))).decode()
    curl = f"""curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\
  -d '{body}' \\
  {url}/v2/models/{model}/infer"""
    plain = f"""import json, urllib.request
request = json.loads('{body}')
asked = urllib.request.Request("{url}/v2/models/{model}/infer", json.dumps(request).encode(),
                               {{"Authorization": "Bearer {token}", "Content-Type": "application/json"}})
print(json.load(urllib.request.urlopen(asked))["outputs"])"""
    given = "\n".join(
        f"""given.append(triton.InferInput("{name}", {list(array.shape)}, "{DATATYPES[array.dtype.name]}"))
given[-1].set_data_from_numpy(np.zeros({list(array.shape)}, np.{array.dtype}))"""
        for name, array in inputs.items()
    )
    triton = f"""import numpy as np, tritonclient.grpc as triton      # pip install 'tritonclient[grpc]'
given = []
{given}
client = triton.InferenceServerClient("{grpc}")
print(client.infer("{model}", given, headers={{"authorization": "Bearer {token}"}}).get_response())"""
    return {"curl": curl, "Python": plain, "tritonclient, gRPC": triton}


def _short(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request whose values have three digits: lines to copy, not to compute with."""
    for each in request["inputs"]:
        each["data"] = [float(f"{value:.3g}") if isinstance(value, float) else value for value in each["data"]]
    return request


def folded(texts: Mapping[str, str]) -> str:
    """Return HTML that folds each text away, to be selected and copied."""
    return "".join(
        f'<details class="wb-client"><summary>{html.escape(title)}</summary><pre tabindex="0">{html.escape(text)}</pre></details>'
        for title, text in texts.items()
    )
