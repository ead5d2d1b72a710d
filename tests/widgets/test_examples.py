"""Changed answers: broken first, filtered by clicks, in words where there are no pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.widgets.pairs import pruned_run, session_of
from widgets import examples as panel_module
from widgets._changed_text import text_changes
from widgets._flip_pages import ALL, PER_PAGE
from widgets._gallery import gallery_html
from widgets.examples import Examples
from workbench.charts.flips import Flip
from workbench.errors import InvalidInput
from workbench.nouns import Measurement, Run
from workbench.store import Store


@pytest.fixture
def run(shared_store: Store) -> Run:
    return pruned_run(shared_store)


@pytest.fixture
def panel(shared_store: Store, run: Run) -> Examples:
    """The panel as it is seen, of the pruned run against its parent."""
    session, pump = session_of(shared_store)
    session.b = run.run_id
    panel = Examples(session, pump)
    panel.on_shown()
    pump.drain()
    return panel


def outcomes(panel: Examples) -> list[str]:
    return re.findall(r"(✕ broken|✓ fixed|≠ wrong in another way)", panel.pages.cards.value)


def test_broken_answers_come_first_with_pictures_and_both_probabilities(panel: Examples) -> None:
    counts = panel.pages.data.counts
    assert f"{counts['broken']} broken" in panel.told.value
    shown = outcomes(panel)
    assert len(shown) == PER_PAGE and shown == ["✕ broken"] * min(PER_PAGE, counts["broken"])
    html = panel.pages.cards.value
    assert html.count("data:image/png") == PER_PAGE
    assert html.count("A says") == html.count("B says") == PER_PAGE
    assert len(re.findall(r"width:[\d.]+%", html)) == 2 * PER_PAGE


def test_pages_show_every_flip_once(panel: Examples) -> None:
    seen, total = [], len(panel.pages.data.flips)
    while True:
        seen += re.findall(r"<small>example (\d+)</small>", panel.pages.cards.value)
        if panel.pages.on.disabled:
            break
        panel.pages.on.click()
        panel.pump.drain()
    assert len(seen) == len(set(seen)) == total
    assert f"of {total}" in panel.pages.place.value


def test_filters_keep_to_outcome_and_class(panel: Examples) -> None:
    panel.pages.outcome.value = "wrong in another way"
    panel.pump.drain()
    assert set(outcomes(panel)) == {"≠ wrong in another way"}
    label = panel.pages.data.flips[0].target
    panel.pages.outcome.value, panel.pages.label.value = ALL, label
    panel.pump.drain()
    assert {flip.target for flip in panel.pages.chosen()} == {label}


def test_a_cell_of_the_matrix_filters_by_click_and_is_left_again(panel: Examples) -> None:
    flip = panel.pages.data.flips[0]
    panel.matrix._hear(None, {"kind": "click", "values": [{"x": flip.after, "y": flip.before, "z": 3}]}, None)
    panel.pump.drain()
    assert {(each.before, each.after) for each in panel.pages.chosen()} == {(flip.before, flip.after)}
    assert f"that A called {flip.before} and B calls {flip.after}" in panel.pages.place.value
    panel.pages.whole.click()
    panel.pump.drain()
    assert len(panel.pages.chosen()) == len(panel.pages.data.flips)


def test_without_data_the_answers_stay_and_the_reason_is_told(
    shared_store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_run: Run, _split: str) -> np.ndarray:
        raise InvalidInput(["no folder '/old/place'"])

    monkeypatch.setattr(panel_module, "load_inputs", gone)
    session, pump = session_of(shared_store)
    session.b = run.run_id
    panel = Examples(session, pump)
    panel.on_shown()
    pump.drain()
    assert "no folder" in panel.loading.value and 'role="alert"' in panel.loading.value
    assert len(outcomes(panel)) == PER_PAGE and "data:image" not in panel.pages.cards.value


def test_data_that_changed_since_shows_no_pictures(shared_store: Store, run: Run) -> None:
    from dataclasses import replace

    from widgets._pictures import load_inputs

    with pytest.raises(InvalidInput, match="changed since"):
        load_inputs(replace(run, data_sha256="0" * 64), "test")


def test_nothing_is_drawn_while_hidden_and_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    session, pump = session_of(Store(tmp_path / "runs"))
    panel = Examples(session, pump)
    pump.drain()
    assert panel.told.value == ""
    panel.on_shown()
    assert "Build a recipe" in panel.told.value
    assert panel.shown.layout.display == "none"


def test_an_update_that_changes_nothing_sends_nothing(panel: Examples) -> None:
    sent: list[object] = []
    for widget in (panel.told, panel.loading, panel.pages.cards, panel.matrix, panel.pair.a, panel.pair.b):
        widget.observe(sent.append)
    panel.update()
    panel.pump.drain()
    assert sent == []


def test_the_other_split_is_compared_anew(panel: Examples) -> None:
    panel.split.value = "validation"
    panel.pump.drain()
    assert panel.pages.data.split == "validation" and "validation answers changed" in panel.told.value


def test_the_static_form_holds_matrix_and_cards(shared_store: Store, run: Run) -> None:
    session, pump = session_of(shared_store)
    session.b = run.run_id
    head, figure, cards = Examples(session, pump).static()
    assert "answers changed" in head.data and figure.data[0].type == "heatmap" and "wb-flip" in cards.data


def test_texts_of_a_card_are_escaped_and_no_probability_is_rounded_to_certainty() -> None:
    flip = Flip(3, "<b>", "a&b", "<i>", "fixed", 0.0001, 0.9999, 0.4, float("nan"))
    html = gallery_html([flip], None)
    assert "&lt;b&gt;" in html and "a&amp;b" in html and "<i>" not in html.replace("<i style", "")
    assert "&lt; 0.5\u202f%" in html and "&gt; 99.5\u202f%" in html
    assert "not a number" in html


def reader(store: Store, run_id: str, nll: np.ndarray, targets: np.ndarray, **how: Any) -> None:
    """Write a language model's run with the likelihoods it gave."""
    folder = store.root / run_id
    (folder / "samples").mkdir(parents=True)
    np.savez(folder / "samples" / "predictions.npz", test_nll=nll, test_targets=targets)
    perplexity = Measurement("perplexity", "1", "lower", 5.0, conditions={"split": "test"})
    run = Run(run_id, run_id[:-3], "done", {"model": {"use": "tiny_lm"}, "data": {"use": "text"}}, **how,
              measurements=(perplexity,))  # fmt: skip
    (folder / "run.json").write_bytes(orjson.dumps(run.to_json()))


@pytest.fixture
def readers(tmp_path: Path) -> Examples:
    """Two language models: the second reads sequence 1 much worse, at its third byte, and sequence 2 a little better."""
    store, text = Store(tmp_path / "runs"), [b"one <b>", b"two & 3", b"a third"]
    targets = np.array([list(each) for each in text], np.int64)
    before = np.ones(targets.shape, np.float32)
    after = before.copy()
    after[1, 2] += 4.0
    after[2, 0] -= 0.5
    reader(store, "lm-a-01", before, targets)
    reader(store, "lm-b-01", after, targets, parent="lm-a-01")
    session, pump = session_of(store)
    session.b = "lm-b-01"
    panel = Examples(session, pump)
    panel.on_shown()
    pump.drain()
    return panel


def test_text_is_shown_with_its_change_worst_first_and_escaped(readers: Examples) -> None:
    assert "33% of 3 test sequences are read worse by B" in readers.told.value
    html = readers.texts.listed.value
    assert "sequence 1: +0.57 nats per token" in html and "sequence 2" not in html
    assert '<span class="wb-token wb-worse" title="+4.00 nats: 1.00 → 5.00">o</span>' in html
    assert readers.shown.layout.display == "none" and readers.texts.chart.figure
    readers.texts.way.value = readers.texts.way.options[1]
    readers.pump.drain()
    assert "sequence 2: −0.07 nats" in readers.texts.listed.value and "sequence 1" not in readers.texts.listed.value


def test_a_click_on_a_sequence_shows_its_text(readers: Examples) -> None:
    readers.texts.chart._hear(None, {"kind": "click", "values": [1]}, None)
    readers.pump.drain()
    assert "Sequence 1." in readers.texts.told.value and "&amp;" in readers.texts.listed.value
    readers.texts.chart._hear(None, {"kind": "click", "values": [0]}, None)
    readers.pump.drain()
    assert "changed little" in readers.texts.told.value and readers.texts.listed.value == ""


def test_tokens_of_a_foreign_tokenizer_are_shown_by_number(tmp_path: Path) -> None:
    store, targets = Store(tmp_path / "runs"), np.array([[300, 5], [7, 8]], np.int64)
    reader(store, "lm-a-01", np.ones((2, 2)), targets)
    reader(store, "lm-b-01", np.full((2, 2), 2.0), targets, parent="lm-a-01")
    runs = {run.run_id: run for run in store.runs()}
    data, note = text_changes(runs["lm-a-01"], runs["lm-b-01"], "test")
    assert "tokenizer" in note and data.worst[0].text == "300 5 "
