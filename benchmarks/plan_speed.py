"""How long does a plan take, a look into a 405B checkpoint, and the simulation of a 70B layout? CPU seconds of whole commands.

The checkpoint is 191 files with true headers and holes for weights: nobody reads those.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from _results import finish, median  # noqa: E402

from workbench.plan import _config, architecture  # noqa: E402

TURNS, FILES = 5, 191
PLAN_BAR, INSPECT_BAR, CHECK_BAR, BYTES_BAR = 1.0, 2.0, 150.0, 1 << 30
MODEL = "llama-3-405b"
CHECKED = ["llama-3-70b", "--devices", "64", "--layout", "shard=8 tensor=8", "--check"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = _hollow(Path(folder) / "hollow")
        samples: dict[str, list[float]] = {"plan": [], "inspect": [], "table": []}
        for _ in range(TURNS):
            samples["plan"].append(_cpu("plan", MODEL, "--devices", "1024", "--json")[0])
            samples["inspect"].append(_cpu("inspect", str(checkpoint), "--json")[0])
            samples["table"].append(_table())
    seconds, wall, said = _whole("plan", *CHECKED, "--json")
    checked = said["checked"]
    figures = {
        **{name: median(values) for name, values in samples.items()}, "check_cpu": checked["cpu_seconds"], "check_whole_cpu": seconds,
        "check_wall": wall, "check_bytes": checked["own_bytes"], "check_difference": checked["difference"],
    }  # fmt: skip
    finish(
        "plan_speed",
        {
            f"table of {MODEL} on 1,024 devices in {figures['table']:.2f} CPU s, as a command {figures['plan']:.2f} ≤ {PLAN_BAR:g}": figures["plan"] <= PLAN_BAR,
            f"inspecting {FILES} files in {figures['inspect']:.2f} CPU s ≤ {INSPECT_BAR:g}": figures["inspect"] <= INSPECT_BAR,
            f"70B, fsdp 8 × tensor 8, simulated in {figures['check_cpu']:.0f} CPU s ≤ {CHECK_BAR:g}": figures["check_cpu"] <= CHECK_BAR,
            f"and {figures['check_bytes'] / 2**20:.0f} MiB ≤ {BYTES_BAR / 2**20:.0f} MiB": figures["check_bytes"] <= BYTES_BAR,
        },
        summary=f"1,024 devices {figures['plan']:.2f} CPU s, inspect 405B {figures['inspect']:.2f}, 70B simulated in {figures['check_cpu']:.0f} CPU s "
        f"and {figures['check_bytes'] / 2**20:.0f} MiB, {figures['check_difference']:+.1%} of the plan",
        figures=figures, samples=samples,
    )  # fmt: skip


def _table() -> float:
    """Return the CPU seconds of the table alone, without starting Python."""
    from workbench.plan import devices, training

    model, device = architecture.known()[MODEL], devices.find("h100")
    began = time.process_time()
    training.plan(model, device, 1024, training.Wanted(8192, 4096))
    return time.process_time() - began


def _cpu(*words: str) -> tuple[float, Any]:
    seconds, _, said = _whole(*words)
    return seconds, said


def _whole(*words: str) -> tuple[float, float, Any]:
    """Return CPU seconds, seconds and the record of a command with its processes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "workbench.cli", *words], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, json.loads(ended.stdout)


def _hollow(folder: Path) -> Path:
    """Write config.json, the index and files whose weights are holes, as 405B has them in bfloat16."""
    folder.mkdir()
    model = architecture.known()[MODEL]
    (folder / "config.json").write_text(json.dumps({**_config.from_architecture(model), "torch_dtype": "bfloat16"}))
    block = {
        "self_attn.q_proj": (model.q_width, model.hidden), "self_attn.k_proj": (model.kv_width, model.hidden),
        "self_attn.v_proj": (model.kv_width, model.hidden), "self_attn.o_proj": (model.hidden, model.q_width),
        "mlp.gate_proj": (model.ffn, model.hidden), "mlp.up_proj": (model.ffn, model.hidden), "mlp.down_proj": (model.hidden, model.ffn),
        "input_layernorm": (model.hidden,), "post_attention_layernorm": (model.hidden,),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (model.vocabulary, model.hidden)}
    shapes |= {
        f"model.layers.{index}.{name}.weight": shape for index in range(model.layers) for name, shape in block.items()
    }
    shapes |= {"model.norm.weight": (model.hidden,), "lm_head.weight": (model.vocabulary, model.hidden)}
    where = {}
    for index in range(FILES):
        name = f"model-{index + 1:05}-of-{FILES:05}.safetensors"
        ours = list(shapes.items())[index::FILES]
        where |= {tensor: name for tensor, _ in ours}
        header, end = {}, 0
        for tensor, shape in ours:
            begin, end = end, end + 2 * math.prod(shape)
            header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + end)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


if __name__ == "__main__":
    main()
