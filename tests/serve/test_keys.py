"""Nobody predicts without a key, nobody administers without scope admin, and the log shows who did what and whether it was touched."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2

from tests.cli.test_commands import call, read
from tests.serve.conftest import Running
from tests.serve.test_refusals import asked, message, one, stub_of
from workbench.errors import ArtifactError, InvalidInput
from workbench.protect import audit
from workbench.serve import api_keys
from workbench.serve._policy import LOOK_AGAIN_SECONDS, Policy
from workbench.serve.refusal import Refusal

PREDICTING = [
    ("POST", "/v2/models/digits/infer"), ("POST", "/predict"), ("GET", "/v2"), ("GET", "/v2/models/digits"), ("GET", "/v2/models/stats"),
    ("POST", "/v2/repository/index"), ("GET", "/metrics"), ("GET", "/nowhere"),
]  # fmt: skip
ADMINISTERING = [
    ("GET", "/export"), ("POST", "/v2/repository/models/lm/load"), ("POST", "/v2/repository/models/lm/unload"),
]  # fmt: skip
CALLS = {
    "ModelInfer": service_pb2.ModelInferRequest(), "ModelMetadata": service_pb2.ModelMetadataRequest(), "ServerMetadata": service_pb2.ServerMetadataRequest(),
    "ModelReady": service_pb2.ModelReadyRequest(), "ModelConfig": service_pb2.ModelConfigRequest(), "ModelStatistics": service_pb2.ModelStatisticsRequest(),
    "RepositoryIndex": service_pb2.RepositoryIndexRequest(),
}  # fmt: skip
MANAGING = {
    "RepositoryModelLoad": service_pb2.RepositoryModelLoadRequest(model_name="lm"),
    "RepositoryModelUnload": service_pb2.RepositoryModelUnloadRequest(model_name="lm"),
}
WRONG = ["", "Bearer", "Bearer wrong", "Basic abc", "bearer  "]


@pytest.mark.parametrize("method, path", PREDICTING + ADMINISTERING)
def test_rest_asks_for_a_key_everywhere(running: Running, method: str, path: str) -> None:
    for authorization in WRONG:
        assert asked(running, json.dumps(one()), path=path, method=method, authorization=authorization)[0] == 401


@pytest.mark.parametrize("method, path", ADMINISTERING)
def test_rest_asks_for_admin_to_administer(running: Running, method: str, path: str) -> None:
    assert asked(running, "", path=path, method=method, token="predict")[0] == 403


def refused(running: Running, name: str, request: Any, metadata: list[tuple[str, str]]) -> str:
    channel, stub = stub_of(running)
    with channel, pytest.raises(grpc.RpcError) as told:
        getattr(stub, name)(request, metadata=metadata, timeout=20)
    return str(told.value.code().name)


@pytest.mark.parametrize("name", [*CALLS, *MANAGING])
def test_grpc_asks_for_a_key_everywhere(running: Running, name: str) -> None:
    request = (CALLS | MANAGING)[name]
    for authorization in WRONG:
        assert refused(running, name, request, [("authorization", authorization)]) == "UNAUTHENTICATED"
    assert refused(running, name, request, []) == "UNAUTHENTICATED"


def test_grpc_asks_for_a_key_in_a_stream(running: Running) -> None:
    channel, stub = stub_of(running)
    with channel, pytest.raises(grpc.RpcError) as told:
        list(stub.ModelStreamInfer(iter([message()]), timeout=20))
    assert told.value.code().name == "UNAUTHENTICATED"


@pytest.mark.parametrize("name", MANAGING)
def test_grpc_asks_for_admin_to_administer(running: Running, name: str) -> None:
    assert refused(running, name, MANAGING[name], list(running.headers("predict").items())) == "PERMISSION_DENIED"


def test_keys_are_added_rotated_and_revoked_while_it_runs(running: Running) -> None:
    def status(token: str) -> int:
        return asked(running, "", path="/v2", method="GET", token=token)[0]

    file = running.api_keys
    key, token = api_keys.add(file, "guest", ("predict",))
    short, soon_over = api_keys.add(file, "hasty", ("predict",), days=3 / 86400)
    time.sleep(LOOK_AGAIN_SECONDS + 0.2)
    assert status(token) == status(soon_over) == 200
    _, newer = api_keys.rotate(file, key.id, grace=timedelta(0))
    other, left = api_keys.add(file, "left", ("predict",))
    api_keys.revoke(file, other.id)
    time.sleep(2.2)
    assert (status(token), status(newer), status(left), status(soon_over)) == (401, 200, 401, 401)
    assert token not in file.read_text() and file.stat().st_mode & 0o77 == 0


def test_a_rotated_key_lasts_through_its_grace(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key, token = api_keys.add(file, "app", ("predict",))
    newer, _ = api_keys.rotate(file, key.id)
    assert [each.state for each in api_keys.read(file)] == ["good", "good"] and newer.scopes == key.scopes
    assert Policy(file=file).admit(f"Bearer {token}", "predict").id == key.id
    with pytest.raises(InvalidInput, match="revoked"):
        api_keys.revoke(file, key.id)
        api_keys.rotate(file, key.id)


def test_a_rate_is_counted_per_key(tmp_path: Path) -> None:
    (one, first), (_, second) = (api_keys.new(name, ("predict",)) for name in "ab")
    policy = Policy(keys=[one, _], rate="2/minute")
    for _ in range(2):
        policy.admit(f"Bearer {first}", "predict")
    with pytest.raises(Refusal) as told:
        policy.admit(f"Bearer {first}", "predict")
    assert told.value.http_status == 429
    policy.admit(f"Bearer {second}", "predict")
    with pytest.raises(InvalidInput, match="rate"):
        Policy(rate="often")


def test_a_broken_file_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    _, token = api_keys.add(file, "app", ("predict",))
    monkeypatch.setattr("workbench.serve._policy.LOOK_AGAIN_SECONDS", 0.0)
    policy = Policy(file=file)
    policy.admit(f"Bearer {token}", "predict")
    file.write_text("{}")
    with pytest.raises(Refusal, match="not known"):
        policy.admit(f"Bearer {token}", "predict")
    with pytest.raises(ArtifactError, match="no file of keys"):
        Policy(file=file)


def test_the_command_line_manages_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = read("apikeys", "add", file, "--name", "app", "--days", 30)
    assert made["token"].startswith("wb_")
    newer = read("apikeys", "rotate", file, made["id"])
    call("apikeys", "revoke", file, made["id"])
    states = {each["id"]: each["state"] for each in read("apikeys", "list", file)["keys"]}
    assert states == {made["id"]: "revoked", newer["id"]: "good"}
    assert "scopes are" in call("apikeys", "add", file, "--name", "x", "--scope", "all", code=2).stderr


def test_the_audit_log_tells_who_did_what_and_shows_edits_and_cuts(running: Running, tmp_path: Path) -> None:
    asked(running, json.dumps(one()))
    asked(running, json.dumps(one()), token="wrong-token-altogether")
    asked(running, "", path="/export", method="GET", token="admin")
    time.sleep(1.5)
    assert audit.verify(running.audit, running.keys).problems == ()
    lines = running.audit.read_bytes().splitlines(keepends=True)
    records = [json.loads(line) for line in lines]
    ids = {key.name: key.id for key in api_keys.read(running.api_keys)}
    requests = [entry for record in records if record["event"] == "requests" for entry in record["entries"]]
    assert [ids["app"], "127.0.0.1", "infer", "digits", "2", "200"] in requests
    assert ["", "127.0.0.1", "infer", "", "", "401"] in requests
    exported = [record for record in records if record["event"] == "export" and record["status"] == "200"]
    assert exported and exported[-1]["by"] == ids["boss"]
    copy = tmp_path / "audit.jsonl"
    audit.head_of(copy).write_bytes(audit.head_of(running.audit).read_bytes())
    copy.write_bytes(b"".join(lines).replace(b'"200"', b'"401"', 1))
    assert any("was changed" in problem for problem in audit.verify(copy, running.keys).problems)
    copy.write_bytes(b"".join(lines[:-1]))
    assert any("cut off" in problem for problem in audit.verify(copy, running.keys).problems)
