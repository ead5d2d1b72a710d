"""The server under load for twenty minutes on end, then models exchanged a hundred times, then killed and started again.

    .venv/bin/python benchmarks/serve_soak.py [MINUTES]        (default 20)

A real process with keys, signed models, audit and metrics on; three small models over REST (JSON, binary) and gRPC in turn, at 70 %
of a saturation point that is found first, on the same machine. A machine that becomes busier gets fewer requests, and the record
says so: bars are on errors, memory and handles, not on times.

Bars: over the second half a straight line through the resident memory grows by at most 2 %, and no more handles (files and sockets
between steps, when clients are gone) are open in the last quarter than in the third; no call fails; 100 exchanges of a model lose
none; after kill -9 the same command answers within 3 seconds; the audit log still verifies, and metrics counted every call.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import tritonclient.http as over_http
from _results import finish, growth, median

from workbench.bench import carry_out
from workbench.job import Job
from workbench.load import Settings, Target, measure_load
from workbench.load._open_loop import Refused
from workbench.protect import audit, sign
from workbench.protect import keys as protecting
from workbench.serve import api_keys, process, repository
from workbench.store import Store

MINUTES, STEP_SECONDS, SHARE = 20.0, 10.0, 0.7
CONNECTIONS, TIMEOUT = 32, 120.0  # seconds from when a call was due: a stall of a busy machine is no lost call
LESS = 0.8  # of the rate, when the machine no longer keeps up with it
SWAPS, KILLS = 100, 3
MOST_GROWTH, BACK_SECONDS = 0.02, 3.0
DIGITS: dict[str, Any] = {"data": {"use": "digits"}, "metrics": [{"use": "size"}]}
TRAIN = {"use": "train", "epochs": 1}
JOBS = {
    "mlp": {**DIGITS, "model": {"use": "lenet_300_100"}, "steps": [TRAIN]},
    "cnn": {**DIGITS, "model": {"use": "small_cnn", "width": 8, "blocks": 1}, "steps": [TRAIN]},
    "int8": {**DIGITS, "model": {"use": "lenet_5"}, "steps": [TRAIN, {"use": "int8_dynamic"}]},  # never batched
}
COUNTED = re.compile(
    rb'workbench_requests_total\{model="(?:mlp|cnn|int8)",port="\w+",status="(?:200|OK)",.*\} ([\d.e+]+)'
)


@dataclass(frozen=True)
class Mix:
    """Every model in every way, in turn; `measure_load` takes it as it takes a Target."""

    url: str
    grpc: str
    token: str
    examples: dict[str, np.ndarray]
    model: str = "all"

    @contextlib.asynccontextmanager
    async def opened(self, connections: int) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        async with contextlib.AsyncExitStack() as stack:
            asks = []
            for name, array in self.examples.items():
                tensor = {
                    "name": "pixels",
                    "shape": list(array.shape),
                    "datatype": "FP32",
                    "data": array.ravel().tolist(),
                }
                for url in (self.url, f"grpc://{self.grpc}"):
                    target = Target(url, name, {"inputs": [tensor]}, self.token)
                    asks.append(await stack.enter_async_context(target.opened(connections)))
                asks.append(await stack.enter_async_context(self._binary(name, array, connections)))
            turn = itertools.cycle(asks)

            async def ask() -> None:
                await next(turn)()

            yield ask

    @contextlib.asynccontextmanager
    async def _binary(
        self, name: str, array: np.ndarray, connections: int
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """What Triton's own client would send."""
        tensor = over_http.InferInput("pixels", list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        content, length = over_http.InferenceServerClient.generate_request_body([tensor])
        headers = {"Authorization": f"Bearer {self.token}", "Inference-Header-Content-Length": str(length)}
        connector = aiohttp.TCPConnector(limit=connections)
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(None)
        ) as session:

            async def ask() -> None:
                try:
                    async with session.post(f"{self.url}/v2/models/{name}/infer", data=content) as answer:
                        body = await answer.read()
                except aiohttp.ClientError as error:
                    raise Refused(type(error).__name__) from None
                if answer.status != 200 or "inference-header-content-length" not in answer.headers:
                    raise Refused(f"{answer.status} {body[:200]!r}")

            yield ask


@dataclass
class Soak:
    """The load, how much of it was asked and failed, and what the server held after each step."""

    mix: Mix
    server: process.Serving
    rate: float
    lowered: int = 0
    num_calls: int = 0
    num_failed: int = 0

    def step(self, number: int, seconds: float = STEP_SECONDS) -> dict[str, Any]:
        """Ask for some seconds, lowering the rate for the next ones when this machine fell behind; returns what it saw."""
        asked = Settings(rates=(self.rate,), seconds=seconds, connections=CONNECTIONS, timeout=TIMEOUT, seed=number)
        (found,) = measure_load(self.mix, asked).steps
        self.num_calls += found.num_due
        self.num_failed += found.num_failed
        if found.num_failed:
            print(f"step {number}: {found.failures}", flush=True)
        if not found.keeps_up:
            self.rate, self.lowered = self.rate * LESS, self.lowered + 1
            print(f"step {number} fell behind: {self.rate:.0f} requests per second from here on", flush=True)
        time.sleep(0.5)  # the server closes what clients have closed
        one = psutil.Process(self.server.process.pid)
        held = {"rss_mb": one.memory_info().rss / 2**20, "handles": one.num_fds(), "threads": one.num_threads()}
        _get(self.mix, "/metrics")
        return {
            "rate": found.rate,
            "p50_ms": found.percentiles_ms["p50"],
            "p99_ms": found.percentiles_ms["p99"],
            **held,
        }

    def swap(self, artifact: Path, models: Path, keys: Path, admin: str) -> dict[str, Any]:
        """Exchange a model again and again under load; each new version must be the one that answers afterwards."""
        calls, failed = self.num_calls, self.num_failed
        took: list[float] = []
        wrong: list[str] = []

        def exchange() -> None:
            for _ in range(SWAPS):
                made, version = repository.add(artifact, models, name="mlp")
                sign.sign(made / str(version), keys)
                begun = time.monotonic()
                _get(self.mix, "/v2/repository/models/mlp/load", token=admin, body=b"{}")
                took.append(time.monotonic() - begun)
                if f'"versions":["{version}"]' not in (told := _get(self.mix, "/v2/models/mlp").decode()):
                    wrong.append(told)
                time.sleep(0.2)

        worker = threading.Thread(target=exchange)
        worker.start()
        number, steps = 1000, []
        while worker.is_alive():
            number += 1
            steps.append(self.step(number))
        return {
            "swaps": len(took), "wrong": wrong, "took": took, "calls": self.num_calls - calls,
            "failed": self.num_failed - failed, "rss_mb": [step["rss_mb"] for step in steps],
        }  # fmt: skip


def _get(mix: Mix, path: str, *, token: str = "", body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {token or mix.token}"}
    with urllib.request.urlopen(urllib.request.Request(mix.url + path, body, headers), timeout=TIMEOUT) as answer:
        found: bytes = answer.read()
        return found


def counted(mix: Mix) -> int:
    """Return how many predictions the server's metrics have counted as answered."""
    return sum(int(float(value)) for value in COUNTED.findall(_get(mix, "/metrics")))


def killed(server: process.Serving, words: list[str | Path], mix: Mix) -> tuple[process.Serving, float, float]:
    """Kill the server outright and start it on the same ports; returns seconds and its CPU seconds until every model answered."""
    server.process.kill()
    server.process.wait()
    begun = time.monotonic()
    ports = ["--http", mix.url.rsplit(":", 1)[1], "--grpc", mix.grpc.rsplit(":", 1)[1]]
    again = process.start([*words, *ports])
    for name, array in mix.examples.items():
        tensor = {"name": "pixels", "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
        _get(mix, f"/v2/models/{name}/infer", body=_json({"inputs": [tensor]}))
    return again, time.monotonic() - begun, sum(psutil.Process(again.process.pid).cpu_times()[:2])


def _json(record: Any) -> bytes:
    import orjson

    return orjson.dumps(record)


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with tempfile.TemporaryDirectory(prefix="workbench-soak-") as scratch:
        root = Path(scratch)
        models, keys, log = root / "models", root / "keys", root / "audit.jsonl"
        protecting.create(keys)
        artifacts = {
            name: Path(carry_out(Job.from_json(job), Store(root / "runs")).folder) / "artifact"
            for name, job in JOBS.items()
        }
        for name, folder in artifacts.items():
            made, version = repository.add(folder, models, name=name)
            sign.sign(made / str(version), keys)
        token = api_keys.add(root / "api_keys.json", "soak", ("predict",))[1]
        admin = api_keys.add(root / "api_keys.json", "boss", ("predict", "admin"))[1]
        words = [models, "--keys", root / "api_keys.json", "--protect", keys, "--audit", log]
        server = process.start(words)
        try:
            examples = {}
            for name, folder in artifacts.items():
                with np.load(folder / "probe.npz") as probe:
                    examples[name] = probe["input_pixels"][:1]
            mix = Mix(server.url, server.grpc, token, examples)
            found = measure_load(mix, Settings(seconds=5, connections=CONNECTIONS, timeout=TIMEOUT)).saturation
            assert found, "the server is saturated at the lowest rate that is tried"
            print(f"saturated at {found:.0f} requests per second; asking {SHARE * found:.0f}", flush=True)
            soak, steps = Soak(mix, server, SHARE * found), list[dict[str, Any]]()
            until, before = time.monotonic() + 60 * minutes, counted(mix)
            while time.monotonic() < until:
                steps.append(soak.step(len(steps)))
                told = steps[-1]
                print(
                    f"{len(steps):4d}  {told['rss_mb']:.1f} MB  {told['handles']} handles  p99 {told['p99_ms']} ms",
                    flush=True,
                )
            calls, failed = soak.num_calls, soak.num_failed
            seen = counted(mix) - before
            swapped = soak.swap(artifacts["mlp"], models, keys, admin)
            print(f"{swapped['swaps']} exchanges, {swapped['failed']} of {swapped['calls']} calls failed", flush=True)
            backs = []
            for _ in range(KILLS):
                server, seconds, cpu_seconds = killed(server, words, mix)
                backs.append((seconds, cpu_seconds))
                print(f"back in {seconds:.2f} s, {cpu_seconds:.2f} of them computing", flush=True)
            verdict = audit.verify(log, keys)
        finally:
            server.stop()
    report(minutes, found, soak, steps, {"calls": calls, "failed": failed, "counted": seen}, swapped, backs, verdict)


def report(
    minutes: float, found: float, soak: Soak, steps: list[dict[str, Any]], calls: dict[str, int], swapped: dict[str, Any],
    backs: list[tuple[float, float]], verdict: audit.Verdict,
) -> None:  # fmt: skip
    rss, handles = ([step[name] for step in steps] for name in ("rss_mb", "handles"))
    middle, late = len(handles) // 2, 3 * len(handles) // 4
    third, last = max(handles[middle:late] or handles), max(handles[late:])
    back, back_cpu = (median([each[place] for each in backs]) for place in (0, 1))
    claims = {
        f"resident memory grows by {growth(rss):+.2%} over the second half, ≤ {MOST_GROWTH:.0%}": growth(rss) <= MOST_GROWTH,
        f"{last} handles open in the last quarter, {third} in the third": last <= third,
        f"{calls['failed']} of {calls['calls']:,} calls failed, 0": not calls["failed"],
        f"metrics counted {calls['counted']:,} calls, no fewer": calls["counted"] >= calls["calls"],
        f"{swapped['swaps']} of {SWAPS} exchanges done, {len(swapped['wrong'])} left an old version, {swapped['failed']} of {swapped['calls']:,} "
        "calls under them failed, 0": swapped["swaps"] == SWAPS and not swapped["wrong"] and not swapped["failed"],
        f"serving again {back:.1f} s after kill -9, ≤ {BACK_SECONDS:g} ({back_cpu:.1f} CPU s)": back <= BACK_SECONDS,
        f"an audit log of {verdict.num_lines:,} lines verifies": not verdict.problems,
    }  # fmt: skip
    figures = {
        "minutes": minutes, "saturation": found, "first_rate": steps[0]["rate"], "last_rate": soak.rate, "lowered": soak.lowered,
        **calls, "rss_mb": [rss[0], rss[len(rss) // 2], rss[-1]], "handles": [handles[0], third, last], "swap_calls": swapped["calls"],
        "swap_seconds": median(swapped["took"]), "rss_after_swaps_mb": swapped["rss_mb"][-1], "audit_problems": list(verdict.problems),
    }  # fmt: skip
    slower = f" (lowered {soak.lowered} × for a busy machine)" if soak.lowered else ""
    summary = f"{calls['calls']:,} calls in {minutes:g} min at {steps[0]['rate']:.0f} → {steps[-1]['rate']:.0f}/s{slower}, {calls['failed']} failed; {rss[0]:.0f} → {rss[-1]:.0f} MB, {handles[0]} → {handles[-1]} handles; {swapped['swaps']} exchanges, {swapped['failed']} lost; back in {back:.1f} s ({back_cpu:.1f} CPU s)"  # fmt: skip
    samples = {name: [step[name] for step in steps] for name in steps[0]}
    samples |= {
        "swap_seconds": swapped["took"],
        "back_seconds": [each[0] for each in backs],
        "back_cpu_seconds": [each[1] for each in backs],
        "swap_rss_mb": swapped["rss_mb"],
    }
    finish("serve_soak", claims, summary=summary, figures=figures, samples=samples)


if __name__ == "__main__":
    main()
