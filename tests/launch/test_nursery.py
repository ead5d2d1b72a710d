"""The warmed parent: what it loads, whom it lets in, and that nothing is lost when it or its child dies."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.launch.conftest import ask, is_zombie, kill_parent, record, until
from workbench.launch import _nursery_place
from workbench.launch._forked import Forked
from workbench.part import FAMILIES

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

WAITS = "__import__('time').sleep(600)"


def begun(worker: Forked) -> Any:
    worker.poll()
    return (worker.draft / "began").exists()


def socket_folder() -> Path:
    return Path(os.environ["WORKBENCH_NURSERY"])


# ── what it is ──


def test_the_parent_is_warm_single_threaded_and_holds_no_part(tiny: Any) -> None:
    worker = Forked(tiny())
    assert worker.wait(120) == 0
    told = ask(do="tell")
    assert told
    assert told["threads"] == 1
    assert "workbench.bench" in told["modules"]
    families = tuple(f"workbench.{family}." for family in FAMILIES if family != "launch")
    assert [name for name in told["modules"] if name.startswith(families)] == []


def test_its_folder_is_for_its_user_alone(cold: Any, tiny: Any) -> None:
    cold()
    assert Forked(tiny()).wait(60) == 0
    assert stat.S_IMODE(socket_folder().stat().st_mode) == 0o700


def test_a_folder_that_others_can_enter_is_refused_and_the_worker_spawned(cold: Any, tiny: Any) -> None:
    socket_folder().mkdir(mode=0o755)
    worker = Forked(tiny())
    assert worker.wait(60) == 0
    started = record(worker.draft, "launcher.json")
    assert started["start"] == "spawn" and "0700" in started["why"]
    socket_folder().chmod(0o700)


def test_it_leads_a_session_of_its_own(cold: Any, tiny: Any) -> None:
    cold()
    assert Forked(tiny()).wait(60) == 0
    told = ask(do="tell")
    assert told and os.getsid(told["pid"]) == told["pid"] != os.getsid(0)


def test_it_leaves_when_idle(cold: Any, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_NURSERY_IDLE_SECONDS", "0.2")
    cold()
    assert Forked(tiny()).wait(60) == 0
    until(lambda: _nursery_place.connect() is None)
    assert not list(socket_folder().glob("*.sock"))


def test_it_leaves_when_the_library_was_edited(cold: Any, tiny: Any, tmp_path: Path) -> None:
    edited = tmp_path / "edited"
    cold(
        "import os; from workbench.launch import _nursery_place as place\n"
        f"place.stamp = lambda: os.path.exists({str(edited)!r}); place.key = lambda: sys.argv[2]\n"
        "_nursery_loop.SECONDS_BETWEEN_LOOKS = 0.1"
    )
    assert Forked(tiny()).wait(60) == 0
    assert ask(do="tell")
    edited.touch()
    until(lambda: _nursery_place.connect() is None)


def test_another_code_or_setting_needs_another_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "workbench" / "bench.py"
    file.parent.mkdir()
    file.write_text("one")
    monkeypatch.setattr(_nursery_place, "ROOT", str(tmp_path))
    known = _nursery_place.key()
    assert _nursery_place.key() == known
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert _nursery_place.key() == known, "threads are set for each worker"
    file.write_text("edited")
    edited = _nursery_place.key()
    assert edited != known
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert _nursery_place.key() != edited


# ── its children ──


def test_several_clients_are_served_at_once_by_one_parent(cold: Any, tiny: Any, tmp_path: Path) -> None:
    cold()
    first, second = Forked(tiny(WAITS, name="one")), Forked(tiny(WAITS, name="two"))
    until(lambda: begun(first) and begun(second))
    told = ask(do="tell")
    assert told and sorted(told["children"]) == sorted([first.pid, second.pid])  # type: ignore[type-var]
    for each in (first, second):
        each.cancel()
        assert each.poll() == -signal.SIGTERM


def test_a_worker_takes_on_what_its_submitter_sees(
    cold: Any, tiny: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cold()
    Forked(tiny(name="first")).wait(60)  # the parent has the environment of this moment
    monkeypatch.setenv("SAID_LATER", "hello")
    monkeypatch.chdir(tmp_path)
    seen = "repr([__import__('os').environ.get('SAID_LATER'), str(pathlib.Path.cwd()), sys.argv])"
    wanted = tiny(f"(draft / 'seen').write_text({seen}) * 0", name="second")
    assert Forked(wanted).wait(60) == 0
    expected = ["hello", str(tmp_path), ["tiny_worker", *wanted.arguments]]
    assert eval(Path(wanted.draft, "seen").read_text()) == expected


def test_a_worker_computes_with_the_threads_that_were_ordered(tiny: Any) -> None:
    worker = Forked(tiny("10 + __import__('torch').get_num_threads()", threads=2))
    assert worker.wait(120) == 12


def test_what_a_worker_prints_lies_in_its_log(cold: Any, tiny: Any) -> None:
    cold()
    worker = Forked(tiny("print('said', flush=True) or __import__('os').system('echo echoed') * 0"))
    assert worker.wait(60) == 0
    assert (worker.draft / "log.txt").read_text().split() == ["said", "echoed"]


def test_an_error_of_a_worker_is_its_exit_code_and_in_its_log(cold: Any, tiny: Any) -> None:
    cold()
    worker = Forked(tiny("1 / 0"))
    assert worker.wait(60) == 1
    assert record(worker.draft, "exit.json") == {"exit_code": 1, "signal": None}
    assert "ZeroDivisionError" in (worker.draft / "log.txt").read_text()


def test_a_killed_worker_leaves_its_signal_and_no_relatives(cold: Any, tiny: Any) -> None:
    """Also what it had started is gone: a measuring process without its worker would disturb the next one."""
    cold()
    child = "__import__('subprocess').run(['sh', '-c', f'echo $$ > {draft}/child; exec sleep 600'])"
    worker = Forked(tiny(child))
    pid = int(until(lambda: (worker.draft / "child").exists() and (worker.draft / "child").read_text()))
    until(lambda: begun(worker) and worker.pid)
    os.kill(worker.pid, signal.SIGKILL)  # type: ignore[arg-type]
    assert worker.wait(60) == -signal.SIGKILL
    assert record(worker.draft, "exit.json") == {"exit_code": -9, "signal": "SIGKILL"}
    until(lambda: is_zombie(pid))


def test_a_silent_child_is_killed_and_spawned_instead(cold: Any, tiny: Any) -> None:
    cold("_nursery_loop.SILENT_SECONDS = 0.5; _newborn._prove_alive = lambda threads: __import__('time').sleep(600)")
    worker = Forked(tiny())
    assert worker.wait(60) == 0
    started = record(worker.draft, "launcher.json")
    assert started["start"] == "spawn" and "said nothing for 0.5 s" in started["why"]
    assert begun(worker)
    assert started["why"] in (worker.draft / "events.jsonl").read_text()


def test_a_child_that_dies_before_it_began_is_spawned_instead(cold: Any, tiny: Any) -> None:
    cold("_newborn._prove_alive = lambda threads: __import__('os')._exit(7)")
    worker = Forked(tiny())
    assert worker.wait(60) == 0
    started = record(worker.draft, "launcher.json")
    assert started["start"] == "spawn" and "exit code 7" in started["why"]


def test_a_parent_with_threads_refuses_to_fork(cold: Any, tiny: Any) -> None:
    cold("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()")
    worker = Forked(tiny())
    assert worker.wait(60) == 0
    started = record(worker.draft, "launcher.json")
    assert started["start"] == "spawn" and "2 threads" in started["why"]


# ── its own death ──


def test_killing_the_parent_does_not_hurt_a_worker(cold: Any, tiny: Any, tmp_path: Path) -> None:
    cold()
    go_on = tmp_path / "go_on"
    told_to = f"iter(lambda: pathlib.Path({str(go_on)!r}).exists(), True)"
    worker = Forked(tiny(f"[__import__('time').sleep(0.02) for _ in {told_to}] and 0"))
    until(lambda: begun(worker))
    before = kill_parent()
    assert worker.poll() is None and worker.pid
    assert Forked(tiny(name="other")).wait(60) == 0, "another parent is started"
    told = ask(do="tell")
    assert told and told["pid"] != before
    go_on.touch()
    assert worker.wait(60) == 1, "the code of an orphan is unknown, and this one left no run"
    assert record(worker.draft, "exit.json") == {"exit_code": None, "signal": None}


def test_a_parent_that_dies_before_it_forked_is_replaced(cold: Any, tiny: Any, tmp_path: Path) -> None:
    """The first parent dies while it warms up; nothing of the order is done twice or lost."""
    mark = tmp_path / "died"
    cold(
        f"import pathlib, os, time; mark = pathlib.Path({str(mark)!r})\n"
        "_warm.load_all = lambda breathe: mark.exists() or (mark.touch(), time.sleep(0.5), os._exit(9))"
    )
    worker = Forked(tiny())
    assert worker.wait(60) == 0
    assert mark.exists() and record(worker.draft, "launcher.json")["start"] == "fork"
    assert (worker.draft / "events.jsonl").read_text().count("\n") == 1


def test_a_parent_that_can_not_start_is_named_and_the_worker_spawned(
    cold: Any, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_nursery_place, "BOOT", "raise SystemExit(3)")
    worker = Forked(tiny())
    assert worker.wait(60) == 0
    started = record(worker.draft, "launcher.json")
    assert started["start"] == "spawn" and "exit code 3" in started["why"]


def test_a_worker_cancelled_while_its_parent_warms_up_never_begins(cold: Any, tiny: Any) -> None:
    cold("_warm.load_all = lambda breathe: __import__('time').sleep(2)")
    worker = Forked(tiny())
    worker.cancel(grace=0.1)
    assert worker.poll() == -signal.SIGTERM
    assert record(worker.draft, "exit.json")["signal"] == "SIGTERM"
    assert ask(do="tell"), "the parent is warm now"
    assert not begun(worker)


def test_the_end_of_a_client_is_not_the_end_of_its_worker(cold: Any, tiny: Any) -> None:
    cold()
    worker = Forked(tiny(WAITS))
    until(lambda: begun(worker) and worker.pid)
    worker._hang_up()
    told = ask(do="tell")
    assert told and told["children"] == [worker.pid]
    worker.cancel()
    assert worker.poll() is not None


def test_importing_the_launcher_needs_no_linux() -> None:
    """Stands for macOS and Windows: their Python lacks these modules."""
    code = "import sys; sys.modules.update(fcntl=None, resource=None); import socket; del socket.AF_UNIX; import workbench.launch.process"
    subprocess.run([sys.executable, "-c", code], check=True)
