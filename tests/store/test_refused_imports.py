"""Files that are not what they say add nothing: truncated, changed, forged, too large."""

from __future__ import annotations

import hashlib
import json
import random
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored import content, made

from workbench import exchange
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.store import Store

Entries = dict[str, bytes]


def nothing_in(store: Store) -> bool:
    return not store.root.exists() or list(store.root.iterdir()) == []


def rewritten(
    source: Path, change: Callable[[Entries], Any], *, manifest: Callable[[Any], Any] = lambda _: None
) -> Path:
    """Return a copy with changed entries; what `manifest` does to the record is written back."""
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    record = json.loads(entries["manifest.json"])
    manifest(record)
    entries["manifest.json"] = json.dumps(record).encode()
    change(entries)
    target = source.with_name("changed.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return target


def refused(store: Store, source: Path, words: str) -> None:
    """Check that an import is refused in these words, with a next move, and leaves nothing, not even hidden."""
    with pytest.raises(ArtifactError, match=words) as told:
        exchange.import_runs(store, source)
    assert told.value.next_move and nothing_in(store)


def test_a_missing_file_and_one_that_is_no_zip_are_told_apart(other: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        exchange.import_runs(other, tmp_path / "nothing.zip")
    (tmp_path / "text.zip").write_text("not a zip")
    refused(other, tmp_path / "text.zip", "no zip")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_adds_nothing(other: Store, packed: Path, share: float) -> None:
    text = packed.read_bytes()
    packed.write_bytes(text[: int(len(text) * share)])
    refused(other, packed, "damaged or no zip")


def test_a_changed_byte_anywhere_adds_nothing_or_changes_nothing(store: Store, tmp_path: Path, packed: Path) -> None:
    text, chance = packed.read_bytes(), random.Random(0)
    ending = range(len(text) - 60, len(text))  # where a zip says at which offsets all else lies
    for number, position in enumerate([*chance.sample(range(len(text)), 100), *ending, *ending]):
        changed = bytes([text[position] ^ (1 << chance.randrange(8))])
        packed.write_bytes(text[:position] + changed + text[position + 1 :])
        other = Store(tmp_path / str(number))
        try:
            exchange.import_runs(other, packed)
        except WorkbenchError:
            assert nothing_in(other)
        else:  # a field that nobody reads, such as the time of an entry
            assert content(other) == content(store)


def test_changed_content_with_a_right_checksum_is_seen_by_its_hash(other: Store, packed: Path) -> None:
    def change(entries: Entries) -> None:
        entries["runs/base-01/artifact/model.bin"] = b"x" * len(entries["runs/base-01/artifact/model.bin"])

    refused(other, rewritten(packed, change), "base-01/artifact/model.bin was changed")


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "/etc/evil", "runs/base-01/../../evil", "runs\\evil", "C:/evil", "runs//evil", "runs/./evil"],
)
def test_a_name_that_leaves_its_folder_is_refused(other: Store, packed: Path, name: str) -> None:
    def told(record: Any) -> None:
        record["runs"]["base-01"][name.removeprefix("runs/base-01/")] = {"sha256": "0" * 64, "bytes": 1}

    refused(other, rewritten(packed, lambda entries: entries.update({name: b"x"}), manifest=told), "leaves its folder")
    assert not list(other.root.parent.rglob("*evil*"))


def test_a_link_and_an_encrypted_entry_are_refused(other: Store, packed: Path) -> None:
    text = bytearray(packed.read_bytes())
    text[text.index(b"PK\x01\x02") + 8] |= 1  # says "encrypted" in the directory of the zip
    encrypted = packed.with_name("encrypted.zip")
    encrypted.write_bytes(text)
    refused(other, encrypted, "is encrypted")
    with zipfile.ZipFile(packed, "a") as archive:
        link = zipfile.ZipInfo("runs/base-01/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    refused(other, packed, "is a link or a device")


def test_a_bomb_is_refused_before_it_unpacks(other: Store, packed: Path) -> None:
    size = 200 * 2**20

    def told(record: Any) -> None:
        record["runs"]["base-01"]["zeros"] = {"sha256": "0" * 64, "bytes": size}

    bomb = rewritten(packed, lambda entries: entries.update({"runs/base-01/zeros": bytes(size)}), manifest=told)
    assert bomb.stat().st_size < 2**20
    refused(other, bomb, "no run is like that")


def test_a_size_that_lies_is_refused(other: Store, packed: Path) -> None:
    def told(record: Any) -> None:
        record["runs"]["base-01"]["run.json"]["bytes"] = 5

    refused(other, rewritten(packed, lambda _: None, manifest=told), "the manifest says 5")


def test_more_than_the_disk_holds_is_refused_with_both_figures(
    other: Store, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10}))
    with pytest.raises(WorkbenchError, match="10 are free"):
        exchange.import_runs(other, packed)
    assert nothing_in(other)


def without_record(entries: Entries) -> None:
    del entries["runs/base-01/run.json"]


def another_id(record: Any) -> None:
    record["runs"]["renamed-01"] = record["runs"].pop("base-01")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.update(schema=99), "schema 99"),
        (lambda record: record.update(kind="holiday pictures"), "not a file that workbench export wrote"),
        (lambda record: record.update(runs={}), "holds no runs"),
        (lambda record: record.update(runs=[1]), "can't be read"),
        (lambda record: record.pop("marks"), "can't be read"),
        (lambda record: record["marks"].update({"base-01": {"tags": ["two words"]}}), "can't be read"),
        (lambda record: record["marks"].update({"who-01": {"tags": []}}), "which it does not hold"),
        (lambda record: record["runs"]["base-01"].pop("artifact/model.bin"), "is not in the manifest"),
        (lambda record: record["runs"]["base-01"].update(more={"sha256": "0" * 64, "bytes": 1}), "more is missing"),
        (lambda record: record["runs"]["base-01"]["run.json"].update(sha256="short"), "without sha256"),
        (another_id, "is missing"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    other: Store, packed: Path, change: Callable[[Any], Any], words: str
) -> None:
    refused(other, rewritten(packed, lambda _: None, manifest=change), words)


def test_entries_that_are_missing_or_no_manifest_are_refused(other: Store, packed: Path) -> None:
    refused(other, rewritten(packed, without_record), "run.json is missing")
    refused(other, rewritten(packed, lambda entries: entries.pop("manifest.json")), "holds no manifest.json")
    refused(other, rewritten(packed, lambda entries: entries.update({"manifest.json": b"{"})), "is not JSON")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 99}, "schema 99"),
        ({"run_id": "another-01"}, "is the record of another-01"),
        ({"surprise": 1}, "not a readable run record"),
        ({"machine": ["cpu"]}, "machine is not what a record holds"),
        ({"ended": "yesterday", "status": "running"}, "status is not .*ended is not"),
        ({"measurements": [{"name": "x", "unit": "", "better": "lower", "value": "1"}]}, r"measurements\[0\]"),
    ],
)
def test_a_record_that_would_break_the_table_is_refused(
    store: Store, other: Store, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    made(store, "base-01")
    record = (store.root / "base-01" / "run.json").read_text()
    packed = exchange.export(store, ["base-01"], tmp_path / "runs.zip")
    text = json.dumps({**json.loads(record), **change}).encode()

    def told(manifest: Any) -> None:
        manifest["runs"]["base-01"]["run.json"] = {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}

    refused_file = rewritten(packed, lambda entries: entries.update({"runs/base-01/run.json": text}), manifest=told)
    with pytest.raises(ArtifactError, match=words):
        exchange.import_runs(other, refused_file)
    assert nothing_in(other)
