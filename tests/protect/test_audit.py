"""A log that was edited, cut, reordered or added to says so."""

from __future__ import annotations

import errno
import multiprocessing
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.protect.made import told
from workbench.errors import ArtifactError, WorkbenchError
from workbench.protect import audit, keys

Lines = list[bytes]


@pytest.fixture
def log(tmp_path: Path, keys_folder: Path) -> Path:
    """A log of five lines."""
    writer = audit.Audit(tmp_path / "audit.jsonl", keys_folder)
    for number in range(5):
        writer.append("predict", model="m", examples=number, note="naïve", share=0.1)
    return tmp_path / "audit.jsonl"


def edited(line: bytes) -> bytes:
    return line.replace(b'"model":"m"', b'"model":"n"')


def swapped(lines: Lines) -> Lines:
    return [lines[0], lines[2], lines[1], *lines[3:]]


CHANGES: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "an edited line": (lambda lines: [*lines[:2], edited(lines[2]), *lines[3:]], "line 3 was changed"),
    "an edited first line": (lambda lines: [edited(lines[0]), *lines[1:]], "line 1 was changed"),
    "an edited last line": (lambda lines: [*lines[:-1], edited(lines[-1])], "line 5 was changed"),
    "a line taken out": (lambda lines: [*lines[:1], *lines[2:]], "line 2 says that it is line 3"),
    "a line put in twice": (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3 says that it is line 2"),
    "two lines swapped": (swapped, "line 2 says that it is line 3"),
    "a cut tail": (lambda lines: lines[:-2], "the end was cut off: 3 lines are left of at least 5"),
    "nothing left": (lambda lines: [], "the end was cut off: 0 lines are left of at least 5"),
    "half a line": (lambda lines: [*lines[:-1], lines[-1][:40]], "line 5 is cut short"),
    "no line at all": (lambda lines: [*lines, b"hello\n"], "line 6 is no audit line"),
}


def test_an_untouched_log_has_no_problems(log: Path, keys_folder: Path) -> None:
    assert audit.verify(log, keys_folder) == audit.Verdict(5, ())
    assert orjson.loads(log.read_bytes().splitlines()[3])["examples"] == 3


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_log_is_found_out(change: str, log: Path, keys_folder: Path) -> None:
    do, problem = CHANGES[change]
    log.write_bytes(b"".join(do(log.read_bytes().splitlines(keepends=True))))
    assert problem in "; ".join(audit.verify(log, keys_folder).problems)


def test_a_signed_line_of_another_log_in_its_place_breaks_the_chain(
    log: Path, keys_folder: Path, tmp_path: Path
) -> None:
    other = audit.Audit(tmp_path / "other.jsonl", keys_folder)
    for _ in range(3):
        other.append("predict", model="another")
    lines = log.read_bytes().splitlines(keepends=True)
    lines[2] = (tmp_path / "other.jsonl").read_bytes().splitlines(keepends=True)[2]
    log.write_bytes(b"".join(lines))
    broken = audit.verify(log, keys_folder).problems
    assert [problem.split(",")[0] for problem in broken] == [
        f"line {n} does not follow the line before it" for n in (3, 4)
    ]


def test_a_log_and_its_head_put_back_together_are_found_by_a_copy_of_the_head(
    log: Path, keys_folder: Path, tmp_path: Path
) -> None:
    for path in (log, audit.head_of(log)):
        shutil.copy(path, tmp_path / f"old-{path.name}")
    audit.Audit(log, keys_folder).append("unload", model="m")
    shutil.copy(audit.head_of(log), tmp_path / "elsewhere")
    assert audit.verify(log, keys_folder, head=tmp_path / "elsewhere").problems == ()
    for path in (log, audit.head_of(log)):
        shutil.copy(tmp_path / f"old-{path.name}", path)
    assert audit.verify(log, keys_folder).problems == (), "the limit: both files fit each other"
    (problem,) = audit.verify(log, keys_folder, head=tmp_path / "elsewhere").problems
    assert "the end was cut off" in problem


def test_a_missing_and_an_old_head_are_told(log: Path, keys_folder: Path, tmp_path: Path) -> None:
    old = audit.head_of(log).read_bytes()
    for _ in range(2):
        audit.Audit(log, keys_folder).append("load", model="m")
    audit.head_of(log).write_bytes(old)
    assert "2 lines behind" in audit.verify(log, keys_folder).problems[0]
    audit.head_of(log).unlink()
    assert "there is no head" in audit.verify(log, keys_folder).problems[0]


def test_a_cut_log_is_not_written_on(log: Path, keys_folder: Path) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(ArtifactError) as caught:
        audit.Audit(log, keys_folder).append("predict")
    assert told(caught.value, "changed or cut", "audit verify")


def test_lines_of_another_key_are_not_trusted_and_those_of_an_older_one_are(
    log: Path, keys_folder: Path, tmp_path: Path
) -> None:
    keys.create(tmp_path / "others")
    assert "does not hold" in audit.verify(log, tmp_path / "others").problems[0]
    mine = tmp_path / "mine"
    shutil.copytree(keys_folder, mine)
    keys.rotate(mine)
    audit.Audit(log, mine).append("predict")
    assert audit.verify(log, mine).problems == ()


def test_a_process_killed_before_the_head_was_written_breaks_nothing(log: Path, keys_folder: Path) -> None:
    old = audit.head_of(log).read_bytes()
    audit.Audit(log, keys_folder).append("predict")
    audit.head_of(log).write_bytes(old)
    assert audit.verify(log, keys_folder).problems == ()
    assert audit.Audit(log, keys_folder).append("predict") == 7
    assert audit.verify(log, keys_folder).problems == ()


def test_a_disk_that_is_full_when_the_head_is_written_breaks_nothing(
    log: Path, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    writer = audit.Audit(log, keys_folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        for _ in range(3):
            with pytest.raises(WorkbenchError, match="is full"):
                writer.append("predict")
    assert writer.append("predict") == 6
    assert audit.verify(log, keys_folder) == audit.Verdict(6, ())


def _append(log: Path, keys_folder: Path) -> None:
    writer = audit.Audit(log, keys_folder)
    for _ in range(20):
        writer.append("predict")


def test_several_processes_write_one_chain(log: Path, keys_folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append, args=(log, keys_folder)) for _ in range(3)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert audit.verify(log, keys_folder) == audit.Verdict(65, ())


def test_a_log_that_is_being_written_is_not_taken_for_a_cut_one(
    log: Path, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server appends between the reading of the log and of its head."""
    read, writer = audit._read, audit.Audit(log, keys_folder)
    appending = threading.Thread(target=writer.append, args=("predict",))

    def while_written(path: Path) -> bytes | None:
        if appending.ident is None:
            appending.start()
            appending.join(0.3)
        return read(path)

    monkeypatch.setattr(audit, "_read", while_written)
    assert audit.verify(log, keys_folder) == audit.Verdict(5, ())
    appending.join()
    assert audit.verify(log, keys_folder) == audit.Verdict(6, ())
