"""What the server costs beside the model: CPU per request, requests per second, start, memory; keys, audit and metrics on.

Closed loop: each client sends its next request when the last is answered, so rates are capacity, not what an arrival rate would see.
With KSERVE_PYTHON=/path/to/python (an environment of its own with kserve and onnxruntime) kserve serves the same file in the same run.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from _results import finish, median

from workbench import artifact
from workbench.bench import carry_out
from workbench.job import Job
from workbench.protect import keys as protecting
from workbench.protect import sign
from workbench.serve import api_keys, process, repository
from workbench.store import Store

SECONDS, CLIENTS, CALLS = 3.0, (1, 8, 32), 200
SMALL = {
    "model": {"use": "lenet_300_100"}, "data": {"use": "digits"}, "steps": [{"use": "train", "epochs": 1}], "metrics": [{"use": "size"}]
}  # fmt: skip
IMAGES = {
    "model": {"use": "small_cnn", "width": 8}, "data": {"use": "shapes", "size": 224, "num_examples": 500}, "steps": [], "metrics": [{"use": "size"}]
}  # fmt: skip
FAST = {
    "ready_seconds": 2.5,
    "rss_mb": 150,
    "over_session_ms": 1.3,
    "batching": 1.7,
    "cpu_ratio": 0.35,
    "rate_ratio": 3.0,
}


async def _client(port: int, request: bytes, end: float) -> int:
    """Send one request after another on one connection; returns how many were answered with 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.monotonic() < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))[15:])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


def loaded(pid: int, port: int, request: bytes, num_clients: int) -> tuple[float, float]:
    """Return the server's CPU ms per request, its children's too, and requests per second."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def cpu() -> float:
        return sum(sum(each.cpu_times()[:2]) for each in family)

    async def all_clients() -> int:
        end = time.monotonic() + SECONDS
        return sum(await asyncio.gather(*(_client(port, request, end) for _ in range(num_clients))))

    before, begun = cpu(), time.monotonic()
    count = asyncio.run(all_clients())
    return 1e3 * (cpu() - before) / count, count / (time.monotonic() - begun)


def infer_request(name: str, array: np.ndarray, header: str) -> bytes:
    tensor = {"name": "pixels", "datatype": "FP32", "shape": array.shape, "data": array.ravel().tolist()}
    body = json.dumps({"inputs": [tensor]}).encode()
    head = f"POST /v2/models/{name}/infer HTTP/1.1\r\nHost: x\r\n{header}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def over_session(
    server: process.Serving, headers: dict[str, str], folder: Path, array: np.ndarray
) -> dict[str, list[float]]:
    """Return milliseconds of bare runs, REST binary and gRPC, taken in turn."""
    session = artifact.open_session(artifact.read(folder))
    rest, remote = over_http.InferenceServerClient(server.url[7:]), over_grpc.InferenceServerClient(server.grpc)
    tensors = [module.InferInput("pixels", list(array.shape), "FP32") for module in (over_http, over_grpc)]
    for tensor in tensors:
        tensor.set_data_from_numpy(array)
    calls = {
        "session": lambda: session({"pixels": array}),
        "REST binary": lambda: rest.infer("images", tensors[:1], headers=dict(headers)),
        "gRPC": lambda: remote.infer("images", tensors[1:], headers=headers),
    }  # fmt: skip
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(CALLS):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            took[name].append(1e3 * (time.perf_counter() - begun))
    return took


def kserve(folder: Path, array: np.ndarray) -> dict[int, tuple[float, float]]:
    """Return the same of kserve, by number of clients; empty without KSERVE_PYTHON."""
    python = os.environ.get("KSERVE_PYTHON")
    if not python:
        return {}
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    command = [
        python,
        str(Path(__file__).with_name("_kserve_model.py")),
        str(folder / "model.onnx"),
        "pixels",
        "logits",
    ]
    server = subprocess.Popen(
        [*command, "--http_port", str(ports[0]), "--grpc_port", str(ports[1])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/v2/health/live", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        request = infer_request("digits", array, "")
        return {number: loaded(server.pid, ports[0], request, number) for number in CLIENTS}
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    samples: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="workbench-serve-") as scratch:
        root = Path(scratch)
        small, images = (
            Path(carry_out(Job.from_json(job), Store(root / "runs")).folder) / "artifact" for job in (SMALL, IMAGES)
        )
        protecting.create(root / "keys")
        for name, folder, repo in (
            ("digits", small, "models"),
            ("alone", small, "models"),
            ("images", images, "models"),
        ):
            made, version = repository.add(folder, root / repo, name=name)
            sign.sign(made / str(version), root / "keys")
        config = root / "models" / "alone" / "config.pbtxt"
        config.write_text(config.read_text().replace("dynamic_batching {\n}\n", ""))
        _, token = api_keys.add(root / "api_keys.json", "benchmark", ("predict",))
        words = [
            root / "models",
            "--keys",
            root / "api_keys.json",
            "--protect",
            root / "keys",
            "--audit",
            root / "audit.jsonl",
        ]
        starts = []
        for _ in range(3):
            begun = time.monotonic()
            process.start(words).stop()
            starts.append(time.monotonic() - begun)
        begun = time.monotonic()
        server = process.start(words)
        starts.append(time.monotonic() - begun)
        samples["ready_seconds"] = starts
        rss_mb = psutil.Process(server.process.pid).memory_info().rss / 2**20
        with np.load(small / "probe.npz") as probe, np.load(images / "probe.npz") as picture:
            digit, image = probe["input_pixels"][:1], picture["input_pixels"][:1]
        port, header = int(server.url.rsplit(":", 1)[1]), f"Authorization: Bearer {token}\r\n"
        ours = {
            number: loaded(server.process.pid, port, infer_request("digits", digit, header), number)
            for number in CLIENTS
        }
        alone = {
            number: loaded(server.process.pid, port, infer_request("alone", digit, header), number)
            for number in (1, 32)
        }
        took = over_session(server, {"authorization": f"Bearer {token}"}, images, image)
        server.stop()
        theirs = kserve(small, digit)
    samples |= {f"{name}_ms": values for name, values in took.items()}
    report(ours, alone, theirs, {name: median(values) for name, values in took.items()}, min(starts), rss_mb, samples)


def report(
    ours: dict[int, Any], alone: dict[int, Any], theirs: dict[int, Any], ms: dict[str, float], ready: float, rss_mb: float, samples: dict[str, Any]
) -> None:  # fmt: skip
    batching, lone = ours[32][1] / alone[32][1], ours[1][1] / alone[1][1]
    claims = {
        f"ready in ≤ {FAST['ready_seconds']} s": ready <= FAST["ready_seconds"],
        f"three models resident in ≤ {FAST['rss_mb']} MB": rss_mb <= FAST["rss_mb"],
        f"REST binary ≤ {FAST['over_session_ms']} ms over the bare run": ms["REST binary"] - ms["session"] <= FAST["over_session_ms"],
        f"gRPC ≤ {FAST['over_session_ms']} ms over the bare run": ms["gRPC"] - ms["session"] <= FAST["over_session_ms"],
        f"batching ≥ {FAST['batching']} × at 32 clients": batching >= FAST["batching"],
        "batching costs ≤ 10 % at 1 client": lone >= 0.9,
    }  # fmt: skip
    if theirs:
        cpu = median([ours[number][0] / theirs[number][0] for number in CLIENTS])
        rate = median([ours[number][1] / theirs[number][1] for number in CLIENTS])
        claims[f"CPU per request ≤ {FAST['cpu_ratio']} × kserve"] = cpu <= FAST["cpu_ratio"]
        claims[f"requests per second ≥ {FAST['rate_ratio']} × kserve"] = rate >= FAST["rate_ratio"]
    figures = {
        "ready_seconds": ready, "rss_mb": rss_mb, "batching_ratio": batching, "lone_ratio": lone, **{f"{name}_ms": value for name, value in ms.items()},
        **{f"{who}_{number}_clients": each[number] for who, each in (("ours", ours), ("alone", alone), ("kserve", theirs)) for number in each},
    }  # fmt: skip
    told = [f"{number} clients {ours[number][0]:.2f} CPU ms {ours[number][1]:.0f}/s" for number in CLIENTS]
    told += [f"kserve {number}: {theirs[number][0]:.2f} ms {theirs[number][1]:.0f}/s" for number in theirs]
    summary = f"{', '.join(told)}; image: bare {ms['session']:.2f} ms, binary {ms['REST binary']:.2f}, gRPC {ms['gRPC']:.2f}; "
    summary += f"ready {ready:.1f} s, {rss_mb:.0f} MB, batching {batching:.2f} ×"
    finish("serve_speed", claims, summary=summary, figures=figures, samples=samples)


if __name__ == "__main__":
    main()
