"""Would a model compiled ahead of time by AOTInductor be faster than the formats that there are? See decisions/0039.

One thread, models of the zoo with random weights, the ways in turn, processor time of the process (so that other work
on the machine doesn't count). Frozen: weights are constants of the compiled code, its fastest way on CPUs. Needs a C++ compiler.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _results import finish, median

from workbench import catalog
from workbench.context import SavingContext
from workbench.formats import _export

MODELS = {
    "small_cnn": ({"use": "small_cnn", "width": 64}, {"use": "shapes"}),
    "vit": ({"use": "vit", "layers": 4, "width": 128, "heads": 4}, {"use": "digits"}),
    "tiny_lm": ({"use": "tiny_lm", "layers": 4, "width": 256, "heads": 4, "ffn": 1024}, {"use": "python_source"}),
}
BATCHES = (1, 16)
TURNS, WARM = 40, 3
Way = Callable[[dict[str, np.ndarray]], Any]


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    samples: dict[str, list[float]] = {}
    figures: dict[str, float] = {}
    for name, (model, data) in MODELS.items():
        samples |= _measured(name, model, data, figures)
    wins = [key for key, ratio in figures.items() if key.endswith("over the best there is") and ratio < 0.95]
    finish(
        "aot_inductor",
        {
            f"compiled is 5 % faster than the best format in {len(wins)} of {len(MODELS) * len(BATCHES)} cases, so it is no format: 0": not wins
        },
        summary="; ".join(f"{key} {ratio:.2f}" for key, ratio in figures.items() if key.endswith("there is")),
        figures=figures,
        samples=samples,
    )


def _measured(name: str, model: Any, data: Any, figures: dict[str, float]) -> dict[str, list[float]]:
    """Return milliseconds of every way and batch; ratios go into `figures`."""
    source = catalog.make("data", data)
    card = source.card()  # type: ignore[attr-defined]
    torch.manual_seed(0)
    module = catalog.make("zoo", model).build(card).eval()  # type: ignore[attr-defined]
    splits = source.load()  # type: ignore[attr-defined]
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        ways = _ways(module, catalog.make("zoo", model).card(card), splits, Path(folder), figures, name)  # type: ignore[attr-defined]
        for batch in BATCHES:
            given = {key: np.ascontiguousarray(array[:batch]) for key, array in splits.test.inputs.items()}
            times = _in_turn(ways, given)
            found |= {f"{name}, batch {batch}, {way}": values for way, values in times.items()}
            middle = {way: median(values) for way, values in times.items()}
            best = min(value for way, value in middle.items() if way not in ("eager", "compiled"))
            figures |= {f"{name}, batch {batch}, {way}": value for way, value in middle.items()}
            figures[f"{name}, batch {batch}: compiled over the best there is"] = middle["compiled"] / best
    return found


def _ways(module: Any, card: Any, splits: Any, folder: Path, figures: dict[str, float], name: str) -> dict[str, Way]:
    example = {key: np.ascontiguousarray(array[:4]) for key, array in splits.calibration.inputs.items()}
    ways: dict[str, Way] = {"eager": lambda given: _no_grad(module, given)}
    context = SavingContext(card, example, splits.calibration, {}, 0)
    for format_name in ("onnx", "openvino"):
        made, place = catalog.make("formats", {"use": format_name}), folder / format_name
        place.mkdir()
        (place / "card.json").write_text(_card(card))
        made.save(module, place, context)  # type: ignore[attr-defined]
        ways[format_name] = made.open(place, threads=1)  # type: ignore[attr-defined]
    begun = time.perf_counter()
    program = _export.export(module, example)
    path = torch._inductor.aoti_compile_and_package(
        program, package_path=str(folder / "compiled.pt2"), inductor_configs={"freezing": True}
    )
    figures[f"{name}: seconds to compile"] = time.perf_counter() - begun
    figures[f"{name}: bytes compiled"] = Path(path).stat().st_size
    figures[f"{name}: bytes as onnx"] = sum(file.stat().st_size for file in (folder / "onnx").glob("model*"))
    compiled = torch._inductor.aoti_load_package(path)
    ways["compiled"] = lambda given: _no_grad(compiled, given)
    return ways


def _card(card: Any) -> str:
    import json

    inputs = [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in card.inputs]
    return json.dumps({"inputs": inputs, "precision": {"weights": {}}})


def _no_grad(model: Any, given: dict[str, np.ndarray]) -> Any:
    with torch.no_grad():
        return model(*(torch.from_numpy(array) for array in given.values()))


def _in_turn(ways: dict[str, Way], given: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Return milliseconds of each way, one after the other in every turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + WARM):
        for name, way in ways.items():
            begun = time.process_time()
            way(given)
            if turn >= WARM:
                times[name].append(1e3 * (time.process_time() - begun))
    return times


if __name__ == "__main__":
    main()
