"""Start, swap, stop, kill: what was asked for is answered."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.serve import certificates
from tests.serve.conftest import Running
from tests.serve.test_refusals import metrics, one
from workbench.errors import RunFailed
from workbench.serve import process

TOKEN = "0123456789abcdef0123456789abcdef"
ROOT = Path(__file__).parents[2]


def test_models_are_swapped_under_load_and_no_request_is_lost(running: Running, example: np.ndarray) -> None:
    stop, answered, errors = threading.Event(), [0, 0], list[BaseException]()

    def ask(index: int) -> None:
        module, address = ((over_http, running.server.url[7:]), (over_grpc, running.server.grpc))[index]
        with module.InferenceServerClient(address) as client:
            given = module.InferInput("pixels", list(example.shape), "FP32")
            given.set_data_from_numpy(example)
            while not stop.is_set():
                try:
                    client.infer("digits", [given], headers=running.headers("predict"))
                    answered[index] += 1
                except InferenceServerException as error:
                    errors.append(error)

    threads = [threading.Thread(target=ask, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    with over_http.InferenceServerClient(running.server.url[7:]) as client:
        for num_loads in range(500):
            client.load_model("digits", headers=running.headers())
            if num_loads > 12 and min(answered) > 20:
                break
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == [] and min(answered) > 20


def test_sigterm_loses_nothing_that_is_under_way(running: Running) -> None:
    """Calls wait in the server's queue, and a body is half sent, when the signal comes: all are answered, then it ends."""
    tokens = {"WORKBENCH_TOKEN": TOKEN}
    server = process.start(
        [f"lm={running.artifacts['lm']}", f"digits={running.artifacts['digits']}"], environment=tokens
    )
    try:
        here = Running(
            server, running.repository, running.keys, running.api_keys, running.audit, {"predict": TOKEN}, {}
        )
        host, port = server.url.removeprefix("http://").split(":")
        body = json.dumps(one()).encode()
        head = f"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
        slow = socket.create_connection((host, int(port)), timeout=30)
        slow.sendall(head.encode() + body[:50])
        with grpc.insecure_channel(server.grpc) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            request = service_pb2.ModelInferRequest(model_name="lm", raw_input_contents=[bytes(64 * 32 * 8)])
            request.inputs.add(name="tokens", datatype="INT64", shape=[64, 32])
            calls = [stub.ModelInfer.future(request, metadata=list(here.headers("predict").items())) for _ in range(60)]
            while 'workbench_under_way{port="grpc"} 0.0' in (page := metrics(here)) or 'port="grpc"' not in page:
                assert not all(call.done() for call in calls), "they were all answered before the signal"
            num_before = sum(call.done() for call in calls)
            server.process.send_signal(signal.SIGTERM)
            slow.sendall(body[50:])
            assert slow.recv(12) == b"HTTP/1.1 200"
            slow.close()
            outcomes = [call.code() for call in calls]
        assert server.process.wait(30) == 0
    finally:
        server.process.kill()
    assert set(outcomes) == {grpc.StatusCode.OK} and num_before < len(calls)


def test_whoever_starts_a_server_and_forgets_it_takes_it_along(running: Running) -> None:
    code = "import sys; from workbench.serve import process; print(process.start(sys.argv[1:]).process.pid)"
    words = [sys.executable, "-c", code, f"digits={running.artifacts['digits']}"]
    pid = int(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it still serves"
        time.sleep(0.1)


def test_the_lines_of_the_readme_work_as_printed(running: Running, tmp_path: Path) -> None:
    """All of its first block but the ports' numbers; the server is killed and started anew in between."""
    block = re.search(r"## Serve\n\n```\n(.*?)\n\n", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert block
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    lines = [line.replace("localhost:8080", f"localhost:{ports[0]}") for line in block[1].splitlines()]
    serve = next(line for line in lines if line.startswith("workbench serve"))
    started = serve.replace("RUN &", f"{running.artifacts['digits']} --http {ports[0]} --grpc {ports[1]} & server=$!")
    curls = lines[lines.index(serve) + 1 :]
    again = ["kill -9 $server; wait $server", started, curls[0], curls[-2]]
    script = "\n".join(
        [line if line is not serve else started for line in lines] + again + ["kill $server; wait $server"]
    )
    python = f'workbench() {{ exec {sys.executable} -m workbench.cli "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", python + script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert '"versions":["1"]' in told and told.count('{"output":[[') == 2
    assert (tmp_path / "model.onnx").read_bytes() == (running.artifacts["digits"] / "model.onnx").read_bytes()


def test_an_answer_waits_for_no_acknowledgement(running: Running) -> None:
    """The second and later requests of a connection would each take 40 ms, did the system hold back the answer's body."""
    connection, took = http.client.HTTPConnection(*_address(running.server), timeout=20), list[float]()
    for _ in range(20):
        begun = time.perf_counter()
        connection.request("GET", "/v2", headers=running.headers("predict"))
        assert connection.getresponse().read()
        took.append(time.perf_counter() - begun)
    connection.close()
    assert sorted(took[1:])[5] < 0.035


def test_tls_on_both_ports_and_only_clients_of_the_authority(running: Running, tmp_path: Path) -> None:
    certificates.write(tmp_path)
    words = [
        "--tls-cert",
        tmp_path / "server.pem",
        "--tls-key",
        tmp_path / "server.key",
        "--client-ca",
        tmp_path / "ca.pem",
    ]
    model = f"digits={running.artifacts['digits']}"
    with process.serving([model, *words], environment={"WORKBENCH_TOKEN": TOKEN}) as server:
        assert server.url.startswith("https://")
        for name, is_welcome in (("client", True), ("stranger", False), (None, False)):
            assert _rest_answers(server, tmp_path, name) == is_welcome
            assert _grpc_answers(server, tmp_path, name) == is_welcome
        with pytest.raises(OSError), socket.create_connection(_address(server), timeout=5) as plain:
            plain.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            if not plain.recv(4):
                raise OSError("closed")


def test_a_server_of_onnx_is_small_and_has_no_torch(running: Running) -> None:
    server = psutil.Process(running.server.process.pid)
    assert not [each.path for each in server.memory_maps() if "torch" in each.path]


def test_what_is_wrong_at_the_start_is_said_and_nothing_is_served(running: Running, tmp_path: Path) -> None:
    shutil.copytree(running.artifacts["digits"], tmp_path / "artifact")
    with (tmp_path / "artifact" / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(RunFailed, match="the card says"):
        process.start([tmp_path / "artifact"])


def test_a_port_that_is_taken_is_said(running: Running) -> None:
    port = running.server.url.rsplit(":", 1)[1]
    with pytest.raises(RunFailed, match="choose another --http"):
        process.start([f"digits={running.artifacts['digits']}", "--http", port])


def _address(server: process.Serving) -> tuple[str, int]:
    host, port = server.url.split("//")[1].split(":")
    return host, int(port)


def _rest_answers(server: process.Serving, folder: Path, name: str | None) -> bool:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    connection = http.client.HTTPSConnection(*_address(server), context=context, timeout=20)
    try:
        connection.request("POST", "/v2/models/digits/infer", json.dumps(one()), server.headers)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _grpc_answers(server: process.Serving, folder: Path, name: str | None) -> bool:
    pair = [(folder / f"{name}.{kind}").read_bytes() if name else None for kind in ("key", "pem")]
    credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), *pair)
    with grpc.secure_channel(server.grpc, credentials) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            request = service_pb2.ModelMetadataRequest(name="digits")
            return stub.ModelMetadata(request, metadata=list(server.headers.items()), timeout=5).name == "digits"
        except grpc.RpcError:
            return False
