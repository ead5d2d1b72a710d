"""The small files of a package: requirements, client, request, and the programs that are copied as they are."""

from __future__ import annotations

from pathlib import Path

import orjson

from workbench.measure import _timing
from workbench.nouns import Artifact, Run
from workbench.open_inference import infer_request

HERE = Path(__file__).parent
EXAMPLES = 1  # in the request


def model_name(run: Run) -> str:
    """Return how a server calls the run's model: the beginning of its id."""
    return run.job_id.rpartition("-")[0].replace("-", "_") or "model"


def requirements(saved: Artifact) -> str:
    """Return the format's own libraries, pinned; a local build (`+cpu`) has no name on an index."""
    return "".join(f"{name}=={version.partition('+')[0]}\n" for name, version in saved.card["needs"].items())


def measure_script() -> str:
    return (HERE / "measure.py").read_text()


def timing_script() -> str:
    return Path(_timing.__file__).read_text()


def client_script(name: str) -> str:
    return (HERE / "client.py").read_text().replace('"MODEL"', f'"{name}"')


def example(saved: Artifact) -> str:
    """Return a request of the open inference protocol (V2) with a recorded input."""
    import numpy as np

    with np.load(Path(saved.folder) / "probe.npz") as probe:
        inputs = {each["name"]: probe[f"input_{each['name']}"][:EXAMPLES] for each in saved.card["inputs"]}
    return orjson.dumps(infer_request(inputs)).decode() + "\n"
