"""Joules per example: counted by the machine where it lets us read, else an estimate that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from workbench.nouns import Measurement
from workbench.params import param
from workbench.part import MeasureContext, Metric


class Energy(Metric):
    """`conditions` hold the source and `estimated`; an estimate's interval covers the CPU seconds, not the assumed watts.

    Counters see the whole package or card, idle power included, so nothing else of ours may run. Samples: `joules`,
    (restarts, windows), per example.
    """

    title = "Energy"
    source = "Linux powercap (RAPL); NVML total energy; else CPU seconds × watts per core"

    counter: Literal["auto", "rapl", "nvml", "estimate"] = param("auto", help="Where joules come from")
    watts_per_core: float = param(5.0, help="Assumed power of one busy core, for estimates", unit="W", gt=0, le=100)
    batch: int = param(1, help="Examples in one call", unit="examples", ge=1, le=4096)
    threads: int = param(1, help="Threads", unit="threads", ge=1, le=256)
    seconds: float = param(
        0.1, help="Length of a window; counters of cards move ten times a second", unit="s", ge=0.02, le=60
    )
    windows: int = param(4, help="Windows in each process", unit="windows", ge=3, le=1000)
    restarts: int = param(3, help="Fresh processes", unit="processes", ge=1, le=20)

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        from workbench import compare  # brings numpy

        answers = []
        with ctx.exclusive() as told:
            for restart in range(self.restarts):
                ctx.say("metering", done=restart, total=self.restarts, unit="processes")
                answers.append(self._one_process(ctx))
        joules, origin = [answer["joules"] for answer in answers], answers[0]["source"]
        file = ctx.keep(f"energy_batch{self.batch}_threads{self.threads}.npz", joules=joules)
        found = compare.median_interval(joules, seed=ctx.seed)
        estimated = origin.startswith("estimate")
        if estimated:
            ctx.say(f"energy is an {origin}: no counter can be read here")
        how = {
            "source": origin, "estimated": estimated, "threads": self.threads, "batch": self.batch,
            "restarts": self.restarts, "calls_per_window": [answer["calls"] for answer in answers], **told,
        }  # fmt: skip
        return [
            Measurement("energy_joules", "J / example", "lower", found.value, found.lo, found.hi, found.interval,
                        n=self.restarts * self.windows, samples_in=file, conditions=how)
        ]  # fmt: skip

    def _one_process(self, ctx: MeasureContext) -> dict:  # type: ignore[type-arg]
        return ctx.fresh(
            "workbench.measure._meters:joules_per_example", [ctx.artifact], threads=self.threads,
            probe=str(Path(ctx.artifact.folder) / "probe.npz"), batch=self.batch, windows=self.windows,
            seconds=self.seconds, source=self.counter, watts_per_core=self.watts_per_core,
        )  # fmt: skip
