"""Latency of one call, and its ratio to the parent and the reference measured in the same minute."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from workbench.nouns import Artifact, Measurement
from workbench.params import param
from workbench.part import MeasureContext, Metric

PREPARED_BYTES = 2**30  # of artifacts opened at a time in processes that wait for their turn


class Latency(Metric):
    """Fresh processes, variants interleaved AB/BA, every sample kept, nothing else of ours running.

    One sample is a call's time in the least disturbed of up to six bursts of 0.1 ms; percentiles come from single calls.
    The ratio is the median over pairs with a bootstrap interval over restarts and pairs; p95 and p99 move between runs,
    so no ratio of them is given.
    """

    title = "Latency"
    source = "interleaved pairs, median of ratios, intervals over restarts"

    batch: int = param(1, help="Examples in one call", unit="examples", ge=1, le=4096)
    threads: int = param(1, help="Threads", unit="threads", ge=1, le=256)
    pairs: int = param(
        150, help="Interleaved samples of each variant, over all restarts", unit="pairs", ge=6, le=10_000
    )
    restarts: int = param(
        5, help="Fresh processes: memory layout of one can bias a ratio", unit="processes", ge=1, le=20
    )
    singles: int = param(
        300, help="Single calls timed for percentiles, over all restarts", unit="calls", ge=30, le=100_000
    )

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        variants, roles = _variants(ctx)
        together = self.restarts if self.restarts * _bytes(variants) <= PREPARED_BYTES else 1
        answers: list[dict[str, Any]] = []
        told: dict[str, Any] = {}
        while len(answers) < self.restarts:
            turns = range(len(answers), min(len(answers) + together, self.restarts))
            answers += self._timed(ctx, variants, turns, told)
            ctx.say("timing", done=len(answers), total=self.restarts, unit="processes")
        return self._measurements(ctx, answers, roles, told)

    def _timed(
        self, ctx: MeasureContext, variants: list[Artifact], turns: range, told: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Prepare some processes while others work, then time them one after the other alone."""
        with contextlib.ExitStack() as stack:
            started = [stack.enter_context(self._one_process(ctx, variants, turn)) for turn in turns]
            for process in started:
                process.wait_until_ready()
            with ctx.exclusive() as quiet:
                answers = [process.answer() for process in started]
        for name, value in quiet.items():
            worse = min if name == "measured_alone" else max
            told[name] = worse(told.get(name, value), value)
        return answers

    def _one_process(self, ctx: MeasureContext, variants: list[Artifact], turn: int) -> Any:
        return ctx.prepare(
            "workbench.measure._timing:interleaved",
            variants,
            threads=self.threads,
            probe=str(Path(ctx.artifact.folder) / "probe.npz"),
            batch=self.batch,
            pairs=-(-self.pairs // self.restarts),
            singles=-(-self.singles // self.restarts),
            turn=turn,
        )

    def _measurements(
        self, ctx: MeasureContext, answers: list[dict[str, Any]], roles: dict[str, int], told: dict[str, Any]
    ) -> list[Measurement]:
        import numpy as np

        from workbench import compare
        from workbench.measure._timing import WARM_UP_SECONDS

        samples = np.array([answer["samples_ms"] for answer in answers])  # (restarts, variants, pairs)
        singles = np.array([answer["single_ms"] for answer in answers])  # (restarts, calls)
        kept = {f"{role}_ms": samples[:, index] for role, index in roles.items()}
        file = ctx.keep(self._file(ctx), this_ms=samples[:, 0], single_ms=singles, **kept)
        how = {
            "threads": self.threads, "batch": self.batch, "restarts": self.restarts, "warm_up_seconds": WARM_UP_SECONDS,
            "calls_per_sample": [answer["calls"][0] for answer in answers],
            "bursts_per_sample": [answer["bursts"] for answer in answers], **told,
        }  # fmt: skip
        found = [
            Measurement(f"latency_ms_p{share}", "ms", "lower", float(np.percentile(singles, share)), n=singles.size,
                        samples_in=file, conditions=how)
            for share in (50, 95, 99)
        ]  # fmt: skip
        for role, index in roles.items():
            result = compare.ratio_interval(samples[:, 0], samples[:, index], seed=ctx.seed)
            compared = (ctx.parent if role == "parent" else ctx.reference).card["files"]  # type: ignore[union-attr]
            hashes = "+".join(facts["sha256"][:16] for facts in compared.values() if facts["needed"])
            found.append(
                Measurement(f"latency_ratio_to_{role}", f"this / {role}", "lower", result.ratio, result.lo, result.hi,
                            result.interval, n=samples[:, 0].size, samples_in=file,
                            conditions={**how, f"{role}_sha256": hashes})
            )  # fmt: skip
        return found

    def _file(self, ctx: MeasureContext) -> str:
        """Return the sample file: a second latency metric of the same job, at another batch, gets its own."""
        taken = (ctx.folder / "samples" / "latency.npz").exists()
        return f"latency_batch{self.batch}_threads{self.threads}.npz" if taken else "latency.npz"


def _bytes(variants: list[Artifact]) -> int:
    return sum(facts["bytes"] for each in variants for facts in each.card["files"].values())


def _variants(ctx: MeasureContext) -> tuple[list[Artifact], dict[str, int]]:
    """Return the artifacts to time, ours first, and which of them plays which role (one may play both)."""
    variants, roles = [ctx.artifact], {}
    for role, other in (("parent", ctx.parent), ("reference", ctx.reference)):
        if other is None:
            continue
        folders = [each.folder for each in variants]
        if other.folder not in folders:
            variants.append(other)
            folders.append(other.folder)
        roles[role] = folders.index(other.folder)
    return variants, roles
