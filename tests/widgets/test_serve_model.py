"""A run is served, asked over both protocols, loaded and stopped from a panel; the real server, one for all tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import small_job
from tests.widgets.looking_at import shown
from widgets.pump import Pump
from widgets.serve_model import ServeModel
from widgets.session import Session
from workbench.bench import carry_out
from workbench.nouns import Run
from workbench.store import Store


@pytest.fixture(scope="module")
def run(shared_store: Store) -> Run:
    return carry_out(small_job(), shared_store)


def made(run: Run, shared_store: Store) -> ServeModel:
    session = Session(shared_store.root, model=run.job["model"])
    session.refresh()
    session.b = run.run_id
    panel = ServeModel(session, Pump())
    panel.which.value = run.run_id
    panel.pump.drain()
    return panel


@pytest.fixture(scope="module")
def serving(run: Run, shared_store: Store) -> Iterator[ServeModel]:
    panel = made(run, shared_store)
    panel.start.click()
    panel.pump.drain()
    yield panel
    panel.close()


def test_serving_shows_where_and_how_to_ask(serving: ServeModel, run: Run) -> None:
    assert "✓ serving" in serving.status.value and run.run_id in serving.status.value
    assert serving.start.disabled and not serving.stop.disabled and serving.asking in shown(serving.view)
    assert serving.server is not None
    for word in ("curl", "tritonclient", serving.server.url, serving.server.token):
        assert word in serving.clients.value


def test_the_copied_lines_work_as_they_stand(serving: ServeModel) -> None:
    from widgets._client_words import clients

    server = serving.server
    assert server is not None
    texts = clients(server.url, server.grpc, server.token, serving.once.name, serving.once.inputs())
    asked = {"curl": ["bash", "-c"], "Python": [sys.executable, "-c"], "tritonclient, gRPC": [sys.executable, "-c"]}
    for title, command in asked.items():
        done = subprocess.run([*command, texts[title]], capture_output=True, text=True)
        assert "logits" in done.stdout, (title, done.stdout, done.stderr)


def test_the_copied_lines_name_every_input_with_its_own_type() -> None:
    from widgets._client_words import clients

    inputs = {"ids": np.ones((1, 3), np.int32), "mask": np.ones((1, 3), bool)}
    texts = clients("http://h:1", "h:2", "token", "m", inputs)
    for title, text in texts.items():
        assert all(word in text for word in ("ids", "mask", "INT32", "BOOL")), title
    request = texts["Python"].split("json.loads('")[1].split("')")[0]
    assert [each["data"] for each in json.loads(request)["inputs"]] == [[1, 1, 1], [True, True, True]]
    compile(texts["Python"], "Python", "exec")
    compile(texts["tritonclient, gRPC"], "triton", "exec")


@pytest.mark.parametrize("way", ["REST", "gRPC"])
def test_an_example_gets_the_recorded_answer(serving: ServeModel, way: str) -> None:
    assert serving.once.number.value is not None, "an example is picked before anybody picks one"
    serving.once.way.value, serving.once.number.value = way, 2
    serving.once.ask.click()
    serving.pump.drain()
    assert "%" in serving.once.answer.value and "wb-served" in serving.once.answer.value
    said = serving.once.answer.value
    assert "exactly the answer" in said or float(said.split("; ")[-1].split(" from")[0]) < 1e-5


def test_a_load_test_is_drawn_as_it_goes_and_can_be_stopped(serving: ServeModel) -> None:
    curve = serving.load
    curve.seconds.value = 0.5
    drawn = []
    show, curve.chart.show = curve.chart.show, lambda figure: (drawn.append(len(figure.data[0].x)), show(figure))
    curve.pump.start()
    curve.begin.click()
    end = time.monotonic() + 60
    while len(drawn) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    curve.end.click()
    while 'role="status"' in curve.told.value and time.monotonic() < end:  # what is said while it runs
        time.sleep(0.1)
    assert drawn[:2] == [1, 2], "one more point with each rate"
    assert "kept up with" in curve.told.value or "fell behind at every rate" in curve.told.value
    assert curve.running is None
    assert not curve.begin.disabled and curve.end.disabled


def test_protection_is_told_and_a_change_is_seen(run: Run, shared_store: Store, tmp_path: Path) -> None:
    panel = made(run, shared_store)
    card = panel.protect
    card.keys.value = str(tmp_path / "keys")
    panel.pump.drain()
    assert "<td>no</td>" in card.facts.value
    card.sign.click()
    panel.pump.drain()
    signature = Path(run.folder) / "artifact.sig"
    try:
        assert "Signed with key" in card.told.value and "✓ by key" in card.facts.value
        signature.write_text(signature.read_text().replace("a", "b", 1))
        card.verify.click()
        panel.pump.drain()
        assert 'role="alert"' in card.told.value and "✕" in card.facts.value
    finally:
        signature.unlink()
    card.file.value = str(tmp_path / "out.tar")
    card.plan.click()
    panel.pump.drain()
    assert "model.onnx" in card.listed.value and not (tmp_path / "out.tar").exists()
    card.write.click()
    panel.pump.drain()
    assert "Written" in card.listed.value and (tmp_path / "out.tar").exists()


def test_closing_the_panel_ends_the_server(serving: ServeModel, run: Run, shared_store: Store) -> None:
    panel = made(run, shared_store)
    panel.start.click()
    panel.pump.drain()
    assert panel.server is not None
    process = panel.server.process
    panel.stop.click()
    panel.pump.drain()
    assert process.poll() == 0 and panel.asking not in shown(panel.view) and not panel.start.disabled
    panel.start.click()
    panel.pump.drain()
    process = panel.server.process
    panel.close()
    assert process.wait(30) == 0


def test_a_server_that_starts_while_the_panel_is_closed_ends(
    run: Run, shared_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, ended = made(run, shared_store), []
    process = SimpleNamespace(terminate=lambda: ended.append(True))

    def slowly(*_words: object, **_options: object) -> SimpleNamespace:
        panel.close()
        return SimpleNamespace(process=process)

    monkeypatch.setattr("workbench.serve.process.start", slowly)
    panel._launch("digits=somewhere")
    assert ended == [True]


def test_a_word_on_another_run_is_not_told(run: Run, shared_store: Store, tmp_path: Path) -> None:
    panel = made(run, shared_store)
    card = panel.protect
    card.keys.value = str(tmp_path / "no keys")
    card.verify.click()
    panel.pump.do(card.take, replace(run, run_id="another"))
    panel.pump.drain()
    assert card.told.value == "" and "<td>no</td>" in card.facts.value
