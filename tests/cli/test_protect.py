"""workbench protect …: what a person types, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import call, read
from tests.conftest import small_job
from workbench.bench import carry_out
from workbench.store import Store


def test_a_run_is_encrypted_signed_opened_and_watched(
    shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry_out(small_job(), shared_store)
    monkeypatch.setenv("WORKBENCH_STORE", str(shared_store.root))
    keys, secret, log = tmp_path / "keys", tmp_path / "secret", tmp_path / "audit.jsonl"
    monkeypatch.setenv("WORKBENCH_KEYS", str(keys))
    first = read("protect", "keygen", keys)["keys"]
    assert [(key["kind"], key["state"]) for key in first] == [("signing", "newest"), ("encryption", "newest")]
    call("protect", "encrypt", run.run_id, secret, "--audit", log)
    signed = read("protect", "sign", secret, "--audit", log)
    assert signed["key"] == first[0]["id"] and Path(signed["signature"]).is_file()
    assert read("protect", "verify", secret)["key"] == first[0]["id"]
    assert read("protect", "open", secret, "--audit", log)["gap"] < 1e-6
    call("protect", "decrypt", secret, tmp_path / "plain")
    assert read("protect", "open", tmp_path / "plain", "--unsigned")["key"] == ""

    (secret / "extra").write_text("x")
    refusal = call("protect", "open", secret, "--audit", log, code=1)
    assert "extra" in refusal.stderr and "→" in refusal.stderr
    assert [b'"refused"' in line for line in log.read_bytes().splitlines()] == [False, False, False, True]
    assert read("protect", "audit", "verify", log) == {"schema": 1, "num_lines": 4, "problems": []}
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:3]))
    assert "cut off" in read("protect", "audit", "verify", log, code=1)["problems"][0]


def test_keys_are_rotated_revoked_and_listed(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    old = read("protect", "keygen", keys)["keys"][0]["id"]
    assert "never overwritten" in call("protect", "keygen", keys, code=2).stderr
    assert "rotate first" in call("protect", "keygen", keys, "--revoke", old, code=2).stderr
    call("protect", "keygen", keys, "--rotate")
    call("protect", "keygen", keys, "--revoke", old)
    assert read("protect", "keys", keys)["keys"][0] == {"kind": "signing", "id": old, "state": "revoked"}
    call("protect", "keygen", keys, "--rotate", "--revoke", old, code=2)


def test_a_scrub_says_what_is_gone_and_fails_when_a_word_is_left(
    shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "some_tester")
    run = carry_out(small_job(), shared_store)
    shown = call("protect", "scrub", Path(run.folder), tmp_path / "clean").stdout
    assert "removed  card.json: run_id" in shown and "same output" in shown
    left = read("protect", "scrub", Path(run.folder), tmp_path / "again", "--word", "image-classification", code=1)[
        "left"
    ]
    assert left == ["card.json: 'image-classification'"]


def test_a_run_is_marked_and_the_mark_is_found(
    shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_STORE", str(shared_store.root))
    run = carry_out(small_job(metrics=[{"use": "membership"}]), shared_store)
    assert run.get("membership_auc") is not None and run.get("membership_found").n == 598  # type: ignore[union-attr]
    made = read("protect", "watermark", "keygen", tmp_path / "keys")
    asked = ("--key", made["key"], "--owner", "us", "--bits", "32")
    marked = read("protect", "watermark", "embed", run.run_id, *asked)
    assert [step["use"] for step in marked["job"]["steps"]] == ["train", "watermark"]
    found = read("protect", "watermark", "detect", marked["run_id"], *asked)
    assert found["is_there"] and found["num_right"] == 32 and made["id"] in made["key"]
    shown = call("protect", "watermark", "detect", run.run_id, *asked, code=1).stdout
    assert "no mark found" in shown
