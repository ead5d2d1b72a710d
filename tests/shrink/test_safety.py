"""What goes wrong while a checkpoint is shrunk costs nothing: lying headers, full disks, kills, changed files, little memory."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.shrink.small import INT4, one_file
from workbench.errors import InvalidInput, WorkbenchError
from workbench.shrink import synthetic as made
from workbench.shrink.shrink import shrink

MOST_BYTES = 250_000_000  # resident, interpreter and compiler included


def test_headers_that_lie_are_refused(tmp_path: Path) -> None:
    folder = one_file(tmp_path / "in", {"a.weight": torch.ones(4, 32), "b.weight": torch.ones(4, 32)})
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header, content = whole[8 : 8 + length], whole[8 + length :]

    def with_header(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + content

    lies = {
        "cut": whole[:-1], "appended": whole + b"\0", "a header past the end": (2**40).to_bytes(8, "little") + whole[8:],
        "an overlap": with_header(header.replace(b"[512,1024]", b"[511,1023]")), "a larger shape": with_header(header.replace(b"[4,32]", b"[5,32]")),
        "a negative shape": with_header(header.replace(b"[4,32]", b"[-4,-32]")), "no JSON": with_header(b"{" * 40),
        "another dtype": with_header(header.replace(b'"F32"', b'"F64"')), "nothing": b"",
    }  # fmt: skip
    for lie, data in lies.items():
        assert data != whole, lie
        path.write_bytes(data)
        with pytest.raises(InvalidInput):
            shrink(folder, tmp_path / "out", [INT4])
    path.write_bytes(whole)
    index = folder / "model.safetensors.index.json"
    for where in (
        {"a.weight": "../model.safetensors"},
        {"a.weight": "model.safetensors", "c.weight": "model.safetensors"},
    ):
        index.write_text(json.dumps({"weight_map": where}))
        with pytest.raises(InvalidInput):
            shrink(folder, tmp_path / "out", [INT4])
    index.unlink()
    assert not (tmp_path / "out").exists()
    shrink(folder, tmp_path / "out", [INT4])


def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path) -> None:
    weight = torch.ones(8, 32)
    weight[3, 4] = float("nan")
    for dtype in (torch.float32, torch.bfloat16):
        folder = one_file(tmp_path / str(dtype), {"a.weight": weight.to(dtype)})
        with pytest.raises(WorkbenchError, match=r"a\.weight holds NaN"):
            shrink(folder, tmp_path / "out", [INT4])
        shutil.rmtree(tmp_path / "out")


def test_a_file_that_was_changed_is_written_again_and_the_others_stay(llama: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shrink(llama, out, [INT4], shard_bytes=300_000)
    before = {path.name: (path.read_bytes(), path.stat().st_ino) for path in out.glob("*.safetensors")}
    assert len(before) > 3
    first = out / min(before)
    first.write_bytes(before[first.name][0][:-1] + b"\xff")
    shrink(llama, out, [INT4], shard_bytes=300_000)
    assert {path.name: path.read_bytes() for path in out.glob("*.safetensors")} == {
        name: each[0] for name, each in before.items()
    }
    assert [path.name for path in out.glob("*.safetensors") if path.stat().st_ino != before[path.name][1]] == [
        first.name
    ]


def test_a_full_disk_is_told_beforehand_or_in_words_and_the_same_call_goes_on(
    llama: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(WorkbenchError, match="has room for 1,000 bytes"):
        shrink(llama, tmp_path / "out", [INT4])
    monkeypatch.undo()
    given = {path.name: path.read_bytes() for path in llama.iterdir()}
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, old[1]))
    try:
        with pytest.raises(WorkbenchError, match="File too large") as caught:
            shrink(llama, tmp_path / "out", [INT4], shard_bytes=200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "free room" in caught.value.next_move and not list((tmp_path / "out").glob(".*.partial"))
    assert not (tmp_path / "out" / "config.json").exists(), "what isn't finished doesn't open"
    assert {path.name: path.read_bytes() for path in llama.iterdir()} == given
    shrink(llama, tmp_path / "out", [INT4], shard_bytes=200_000)
    shrink(llama, tmp_path / "straight", [INT4], shard_bytes=200_000)
    for path in (tmp_path / "straight").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


def highest_resident(child: subprocess.Popen[bytes]) -> int:
    """Wait for a process and return the most bytes it had in memory; its rusage would count the parent it was forked from."""
    most = 0
    while child.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
        most = max(most, 1024 * int(found[1])) if found else most
        time.sleep(0.02)
    return most


@pytest.mark.slow
def test_a_gigabyte_is_shrunk_in_little_memory_and_a_kill_costs_one_file(tmp_path: Path) -> None:
    source, out = made.llama(tmp_path / "in", layers=16, width=1536, vocabulary=16000, per_file=4), tmp_path / "out"
    assert sum(path.stat().st_size for path in source.glob("*.safetensors")) > 900_000_000
    command = [sys.executable, "-m", "workbench.cli", "shrink", str(source), str(out), "--shard", "0.2"]
    command += ["--step", "weight_only bits=4 group_size=128", "--json"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(finished := sorted(out.glob("*.safetensors"))) < 2 and time.monotonic() < until:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (out / "config.json").exists()
    recorded = json.loads((out / "shrink.json").read_text())["shards"]
    assert len(recorded) >= len(finished) - 1, "a kill between a file and its line in the record costs that one file"
    kept = {name: (out / name).stat().st_ino for name in recorded}
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    assert highest_resident(child) < MOST_BYTES and child.returncode == 0
    record = json.loads((out / "shrink.json").read_text())
    assert record["finished"] and record["bytes"] < record["bytes_before"] / 3
    told = record["shards"]
    assert kept and all((out / name).stat().st_ino == inode for name, inode in kept.items())
    assert len(told) > 4 and not list(out.glob(".*.partial"))


def test_nothing_of_torch_is_loaded(llama: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from workbench.shrink.shrink import shrink
shrink({str(llama)!r}, {str(tmp_path / "out")!r}, ["weight_only"])
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
