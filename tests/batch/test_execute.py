"""One notebook, executed: strict parameters, a whole output or none, failures that name the cell."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
import zmq
import zmq.asyncio
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.session import Session
from nbformat import v4

from workbench.batch._command import main
from workbench.batch._declared import declared, from_text, problems
from workbench.batch._follow import Follower
from workbench.batch._kernel import LookingAgain
from workbench.batch.execute import execute
from workbench.errors import InvalidInput, RunFailed

PARAMETERS = 'count: int = 3  # how many, as in "n = 3"\nlabel: str | None = None\nshare = 0.5\nlink = "a=b"'


def written(folder: Path, *sources: str, name: str = "work.ipynb") -> Path:
    """Write a notebook with a parameters cell and `sources`; the last cell is tagged to be echoed."""
    cells = [v4.new_markdown_cell("# Work"), v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    cells += [v4.new_code_cell(source) for source in sources]
    cells[-1].metadata["tags"] = [*cells[-1].metadata.get("tags", []), "echo"]
    path = folder / name
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


def test_a_parameter_is_declared_by_its_assignment(tmp_path: Path) -> None:
    specs = declared(nbformat.read(written(tmp_path, "pass"), as_version=4))
    assert [(spec.name, spec.kind, spec.default) for spec in specs] == [
        ("count", "int", 3),
        ("label", "str", None),
        ("share", "float", 0.5),
        ("link", "str", "a=b"),
    ]
    assert specs[0].help == 'how many, as in "n = 3"'
    assert specs[1].optional and not specs[0].optional


def test_words_become_values_of_the_declared_kind(tmp_path: Path) -> None:
    specs = declared(nbformat.read(written(tmp_path, "pass"), as_version=4))
    typed = from_text(specs, ["count=7", "label=007", "share=1", "link=x=y"])
    assert typed == {"count": 7, "label": "007", "share": 1.0, "link": "x=y"}
    assert problems(specs, typed) == []


def test_every_wrong_parameter_is_named_at_once_and_no_kernel_starts(tmp_path: Path) -> None:
    notebook, output = written(tmp_path, "raise SystemExit('ran')"), tmp_path / "out" / "done.ipynb"
    with pytest.raises(InvalidInput) as caught:
        execute(notebook, output, parameters={"conut": 3, "share": "much", "count": True})
    assert len(caught.value.problems) == 3
    assert "did you mean 'count'" in caught.value.problems[0]
    assert not output.parent.exists()


def test_it_refuses_to_overwrite_the_notebook_itself(tmp_path: Path) -> None:
    notebook = written(tmp_path, "pass")
    with pytest.raises(InvalidInput, match="overwrite"):
        execute(notebook, notebook)


def test_a_file_that_is_no_notebook_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "no.ipynb").write_text("hello")
    with pytest.raises(InvalidInput, match="is no notebook"):
        execute(tmp_path / "no.ipynb", tmp_path / "out.ipynb")


def test_given_values_reach_this_interpreter_in_the_notebooks_folder(tmp_path: Path) -> None:
    notebook = written(tmp_path, "import os, sys", "print(sys.executable, os.getcwd(), count, share, link)")
    seen: list[tuple[int, int, str]] = []
    done = execute(
        notebook,
        tmp_path / "out {x}" / "done.ipynb",  # papermill alone would read {x} as a template
        parameters={"count": 7},
        on_cell=lambda *cell: seen.append(cell),
    )
    assert done.echo.split() == [sys.executable, str(tmp_path), "7", "0.5", "a=b"]
    assert seen[-1][:2] == (3, 4)
    executed = nbformat.read(done.path, as_version=4)
    assert executed.metadata.papermill.input_path == "work.ipynb"
    assert str(tmp_path) not in json.dumps(executed.metadata.papermill)
    assert [path.name for path in done.path.parent.iterdir()] == ["done.ipynb"]


def test_a_failing_cell_is_named_and_what_ran_is_kept_beside(tmp_path: Path) -> None:
    notebook, output = written(tmp_path, "print('before')", "x = 1\nraise ValueError('no good')"), tmp_path / "o.ipynb"
    output.write_text("the last good one")
    with pytest.raises(RunFailed, match=r"failed in cell 4 \(x = 1 / raise .*ValueError: no good") as caught:
        execute(notebook, output)
    assert output.read_text() == "the last good one"
    assert "o.failed.ipynb" in str(caught.value)
    kept = nbformat.read(tmp_path / "o.failed.ipynb", as_version=4)
    assert any("before" in str(cell.get("outputs")) for cell in kept.cells)


@pytest.mark.parametrize(
    ("source", "message"),
    [("import time; time.sleep(60)", "limit of 3 s in cell 3"), ("import os; os._exit(9)", "died in cell 3")],
)
def test_a_notebook_that_hangs_or_dies_is_a_failure_that_names_its_cell(
    tmp_path: Path, source: str, message: str
) -> None:
    with pytest.raises(RunFailed, match=message):
        execute(written(tmp_path, source), tmp_path / "out.ipynb", timeout_seconds=3)
    assert not (tmp_path / "out.ipynb").exists()


def test_the_command_says_what_is_wrong_and_returns_two(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    notebook = written(tmp_path, "pass")
    assert main([str(notebook), str(tmp_path / "out.ipynb"), "-p", "cuont=1", "-p", "share=x"]) == 2
    complaints = capsys.readouterr().err
    assert "cuont" in complaints and "share" in complaints


def test_the_command_shows_what_echo_cells_print(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    notebook = written(tmp_path, "print('not this')", "print('the [table]', count)")
    assert main([str(notebook), str(tmp_path / "out.ipynb"), "-p", "count=9"]) == 0
    said = capsys.readouterr().out
    assert "the [table] 9" in said and "not this" not in said


def test_progress_is_read_from_whole_lines_only(tmp_path: Path) -> None:
    from rich.console import Console

    path = tmp_path / "progress.jsonl"
    path.write_text('{"done": 9, "total": 9, "unit": "runs"}\n')  # of another time
    follower = Follower(Console(file=sys.stderr), path)
    with path.open("a") as file:
        file.write('{"done": 2, "total": 8, "unit": "runs", "eta_s": 75}\n')
        file.write('{"run_id": "lenet_5-01", "part": "steps[0].train", "done": 3, "total": 6, "unit": "batches"}\n{"do')
    follower._read()
    line = follower.describe()
    assert line == "2 of 8 runs · about 1 min 15 s left · lenet_5-01 steps[0].train 3/6 batches"
    with path.open("a") as file:
        file.write('ne": 8, "total": 8}\n')
    follower._read()
    assert follower.describe().startswith("8 of 8")


@pytest.mark.parametrize(
    ("channel_class", "arrives"), [(AsyncZMQSocketChannel, False), (LookingAgain, True)], ids=["library", "ours"]
)
def test_an_answer_is_seen_even_when_a_send_swallowed_its_wake_up(
    channel_class: type[AsyncZMQSocketChannel], arrives: bool
) -> None:
    """With an Output widget nbclient sends while it waits. Once the library's own channel passes, ours can go."""
    with ThreadPoolExecutor(1) as elsewhere:  # a browser test before this one leaves its event loop in the main thread
        assert elsewhere.submit(asyncio.run, _asked_while_sending(channel_class)).result() == arrives


async def _asked_while_sending(channel_class: type[AsyncZMQSocketChannel]) -> bool:
    context, kernels, session = zmq.asyncio.Context(), zmq.Context(), Session()
    kernel, socket = kernels.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    socket.identity = b"client"
    socket.connect(f"tcp://127.0.0.1:{kernel.bind_to_random_port('tcp://127.0.0.1')}")
    session.send(socket, "execute_request", {})
    waiting = asyncio.ensure_future(channel_class(socket, session).get_msg())
    await asyncio.sleep(0.3)  # connected, and waiting to be woken
    session.send(kernel, "execute_reply", {}, ident=b"client")
    time.sleep(0.3)  # it has arrived, asyncio hasn't looked yet
    session.send(socket, "comm_msg", {})
    done, _ = await asyncio.wait([waiting], timeout=3)
    waiting.cancel()
    for each in (context, kernels):
        each.destroy(linger=0)
    return bool(done)
