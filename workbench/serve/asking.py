"""Asks a server once, over REST or gRPC, and says how long the answer took: for panels and notebooks."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from workbench.errors import RunFailed
from workbench.open_inference import infer_request
from workbench.serve.process import Serving

if TYPE_CHECKING:
    import numpy as np

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    outputs: dict[str, np.ndarray]  # by name
    took_ms: float  # from before the request was made to after its answer was read


def over_rest(server: Serving, model: str, inputs: Mapping[str, np.ndarray]) -> Answer:
    """Ask in JSON; raises RunFailed with what the server said instead."""
    import numpy as np
    from tritonclient.utils import triton_to_np_dtype

    started = time.perf_counter()
    request = urllib.request.Request(
        f"{server.url}/v2/models/{model}/infer",
        orjson.dumps(infer_request(inputs)),
        {"Content-Type": "application/json", **server.headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer = orjson.loads(response.read())
    except urllib.error.HTTPError as error:
        raise RunFailed(f"{error.code}: {error.read().decode(errors='replace')[:500]}") from None
    except (urllib.error.URLError, TimeoutError) as error:
        raise RunFailed(f"{server.url} does not answer: {error}", next_move="start it again") from None
    outputs = {
        each["name"]: np.array(each["data"], triton_to_np_dtype(each["datatype"])).reshape(each["shape"])
        for each in answer["outputs"]
    }
    return Answer(outputs, (time.perf_counter() - started) * 1e3)


def over_grpc(server: Serving, model: str, inputs: Mapping[str, np.ndarray]) -> Answer:
    """Ask with Triton's own client, in binary."""
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException, np_to_triton_dtype

    client = triton.InferenceServerClient(server.grpc)
    try:
        started = time.perf_counter()
        tensors = []
        for name, array in inputs.items():
            tensors.append(triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
            tensors[-1].set_data_from_numpy(array)
        answer = client.infer(model, tensors, headers=server.headers, client_timeout=TIMEOUT_SECONDS)
        outputs = {each.name: answer.as_numpy(each.name) for each in answer.get_response().outputs}
        return Answer(outputs, (time.perf_counter() - started) * 1e3)
    except InferenceServerException as error:
        raise RunFailed(str(error)) from None
    finally:
        client.close()
