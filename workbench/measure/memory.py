"""Peak memory of a fresh process that opens the artifact and predicts."""

from __future__ import annotations

from pathlib import Path

from workbench.nouns import Measurement
from workbench.params import param
from workbench.part import MeasureContext, Metric


class Memory(Metric):
    """peak_memory_bytes is the whole process; model_memory_bytes is what opening and predicting added to it."""

    title = "Memory"
    source = "VmHWM of /proc/self/status; ru_maxrss where there is no /proc"

    batch: int = param(1, help="Examples in one call", unit="examples", ge=1, le=4096)
    threads: int = param(1, help="Threads", unit="threads", ge=1, le=256)

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        probe = str(Path(ctx.artifact.folder) / "probe.npz")
        answer = ctx.fresh(
            "workbench.measure._timing:peak_memory", [ctx.artifact], threads=self.threads, probe=probe, batch=self.batch
        )
        how = {"batch": self.batch, "threads": self.threads, "process": "fresh"}
        return [
            Measurement(f"{name}_memory_bytes", "bytes", "lower", answer[name], conditions=how)
            for name in ("peak", "model")
        ]
