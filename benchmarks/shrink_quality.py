"""Do calibrated methods, block by block, lose less than those without data? Three small Llamas trained here, perplexity on other text."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from _results import finish  # noqa: E402

from tests.shrink import trained  # noqa: E402
from workbench.shrink.perplexity import perplexity  # noqa: E402
from workbench.shrink.shrink import Calibration, shrink  # noqa: E402

SEEDS = (0, 1, 2)
INT3 = {"use": "weight_only", "bits": 3, "group_size": 64}
STEPS: dict[str, Any] = {
    "int3": INT3, "int3 gptq": {**INT3, "method": "gptq"}, "70 % magnitude": {"use": "magnitude_prune", "sparsity": 0.7},
    "70 % wanda": {"use": "wanda", "sparsity": 0.7}, "70 % sparse_gpt": {"use": "sparse_gpt", "sparsity": 0.7}, "2:4 magnitude": "n_m_prune",
    "2:4 sparse_gpt": {"use": "sparse_gpt", "pattern": "2:4"}, "2:4 wanda": {"use": "wanda", "pattern": "2:4"},
    "int3 awq": {**INT3, "method": "awq"},
}  # fmt: skip
BARS = (("int3 gptq", "int3"), ("70 % wanda", "70 % magnitude"), ("70 % sparse_gpt", "70 % magnitude"), ("2:4 sparse_gpt", "2:4 magnitude"))  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    samples: dict[str, list[float]] = {name: [] for name in ("as trained", *STEPS)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "calibration.txt").write_text(trained.text(2))
        (folder / "test.txt").write_text(trained.text(3))
        calibration = Calibration(folder / "calibration.txt", length=trained.LENGTH, num_texts=64)
        for seed in SEEDS:
            source = trained.llama(folder / str(seed), seed=seed)
            for name, step in {"as trained": None, **STEPS}.items():
                out = source if step is None else folder / f"{seed} {name}".replace(" ", "_")
                if step is not None:
                    shrink(source, out, [step], calibration=calibration)
                samples[name].append(perplexity(out, folder / "test.txt", length=trained.LENGTH, num_texts=128))
            print({name: round(values[-1], 3) for name, values in samples.items()}, flush=True)
    claims = {
        f"{better} has the lower perplexity than {worse} with each of {len(SEEDS)} seeds": all(
            one < other for one, other in zip(samples[better], samples[worse])
        )
        for better, worse in BARS
    }
    means = {name: sum(values) / len(values) for name, values in samples.items()}
    told = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
    finish("shrink_quality", claims, summary=f"perplexity: {told}", figures=means, samples=samples)


if __name__ == "__main__":
    main()
