"""Examples per second of a fresh process that does nothing but predict."""

from __future__ import annotations

from pathlib import Path

from workbench.nouns import Measurement
from workbench.params import param
from workbench.part import MeasureContext, Metric


class Throughput(Metric):
    """The median over windows of 20 ms, in fresh processes with nothing else of ours running; every window is kept.

    Samples: `rates`, (restarts, windows), examples per second.
    """

    title = "Throughput"
    source = "windows of whole calls; median with an interval over restarts and windows"

    batch: int = param(32, help="Examples in one call", unit="examples", ge=1, le=4096)
    threads: int = param(1, help="Threads", unit="threads", ge=1, le=256)
    windows: int = param(10, help="Timed windows in each process", unit="windows", ge=3, le=1000)
    restarts: int = param(3, help="Fresh processes", unit="processes", ge=1, le=20)

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        from workbench import compare  # brings numpy

        probe = str(Path(ctx.artifact.folder) / "probe.npz")
        answers = []
        with ctx.exclusive() as told:
            for restart in range(self.restarts):
                ctx.say("counting", done=restart, total=self.restarts, unit="processes")
                answers.append(
                    ctx.fresh("workbench.measure._rate:rates", [ctx.artifact], threads=self.threads,
                              probe=probe, batch=self.batch, windows=self.windows)
                )  # fmt: skip
        rates = [answer["rates"] for answer in answers]
        file = ctx.keep(f"throughput_batch{self.batch}_threads{self.threads}.npz", rates=rates)
        found = compare.median_interval(rates, seed=ctx.seed)
        how = {
            "threads": self.threads, "batch": self.batch, "restarts": self.restarts,
            "calls_per_window": [answer["calls"] for answer in answers], **told,
        }  # fmt: skip
        return [
            Measurement("throughput", "examples/s", "higher", found.value, found.lo, found.hi, found.interval,
                        n=self.restarts * self.windows, samples_in=file, conditions=how)
        ]  # fmt: skip
