"""The recipe builder follows the session both ways, keeps its rows, and says what each step costs or why it can't be."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest
from looking_at import find, message

from widgets._estimate_words import ADVICE, change_words, count_words
from widgets._judged import judge
from widgets._presets import PRESETS
from widgets.build_recipe import BuildRecipe
from widgets.pump import Pump
from widgets.session import Session
from workbench import catalog, ceilings
from workbench.nouns import Cost

TRAIN = {"use": "train"}
PRUNE = {"use": "magnitude_prune", "sparsity": 0.8}
CHANNELS = {"use": "channel_prune"}
INT8 = {"use": "int8_static"}


@pytest.fixture
def no_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "known", lambda: None)


def opened(tmp_path: Any, *steps: dict[str, Any], **picked: Any) -> tuple[Session, Pump, BuildRecipe]:
    session, pump = Session(tmp_path / "runs", steps=list(steps) or [TRAIN], **picked), Pump()
    panel = BuildRecipe(session, pump)
    pump.drain()
    return session, pump, panel


def press(pump: Pump, button: ipywidgets.Button) -> None:
    button.click()
    pump.drain()


def uses(session: Session) -> list[str]:
    return [step["use"] for step in session.steps]


def number(panel: BuildRecipe, step: int, name: str) -> Any:
    return find(panel.rows[step].form, name, (ipywidgets.IntText, ipywidgets.FloatText))


def test_a_knob_changes_the_session_and_its_estimate(tmp_path: Any, no_ceilings: None) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE)
    before = panel.rows[1].line.value
    find(panel.rows[1].form, "sparsity", ipywidgets.IntSlider).value = 50
    assert session.steps[1]["sparsity"] == 0.8  # only word is left
    pump.drain()
    assert session.steps[1]["sparsity"] == 0.5
    assert panel.rows[1].line.value != before
    assert "bytes on disk unchanged, latency unchanged: dense kernels" in panel.rows[1].line.value
    assert "non-zero 131 k →" in panel.rows[1].line.value


def test_what_is_changed_elsewhere_is_shown_without_new_rows(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE)
    rows, children = list(panel.rows), panel.steps.children
    session.steps = [session.steps[0], {**session.steps[1], "sparsity": 0.25, "skip": ["fc1"]}]
    pump.drain()
    assert panel.rows == rows and panel.steps.children is children
    assert number(panel, 1, "sparsity").value == 0.25
    assert find(panel.rows[1].form, "skip", ipywidgets.TagsInput).value == ["fc1"]


def test_typing_in_one_step_leaves_every_other_widget_alone(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE, CHANNELS)
    before = (panel.view.children, panel.steps.children, [row.form.view.children for row in panel.rows])
    number(panel, 0, "epochs").value = 7
    pump.drain()
    assert session.steps[0]["epochs"] == 7
    assert (panel.view.children, panel.steps.children, [row.form.view.children for row in panel.rows]) == before


def test_an_edit_right_after_a_preset_does_not_undo_the_preset(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE, TRAIN)
    panel.presets["int8"].click()
    number(panel, 0, "epochs").value = 7  # before the rows have followed
    number(panel, 2, "epochs").value = 9  # the preset has no such step: this edit has nowhere to go
    pump.drain()
    assert uses(session) == ["train", "int8_static"] and session.steps[0]["epochs"] == 7
    assert number(panel, 0, "epochs").value == 7


def test_a_click_right_after_a_preset_acts_on_the_step_that_was_clicked(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE, INT8)
    panel.presets["int8"].click()
    panel.rows[2].buttons["remove"].click()
    pump.drain()
    assert uses(session) == ["train"]


def test_an_edit_under_way_is_not_pulled_back_by_its_own_echo(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE)
    slider = find(panel.rows[1].form, "sparsity", ipywidgets.IntSlider)
    slider.value = 60
    function, args = pump._next()
    function(*args)  # the session has 0.6; its echo waits
    slider.value = 70
    pump.drain()
    assert slider.value == 70 and session.steps[1]["sparsity"] == 0.7


def test_steps_are_moved_doubled_and_removed_by_their_buttons(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE, CHANNELS)
    prune = panel.rows[1]
    press(pump, prune.buttons["down"])
    assert uses(session) == ["train", "channel_prune", "magnitude_prune"] and panel.rows[2] is prune
    assert prune.buttons["down"].disabled and "<b>3.</b>" in prune.title.value
    press(pump, prune.buttons["up"])
    assert uses(session) == ["train", "magnitude_prune", "channel_prune"] and panel.rows[1] is prune
    press(pump, prune.buttons["duplicate"])
    assert session.steps[1] == session.steps[2] and len(panel.rows) == 4
    press(pump, panel.rows[0].buttons["remove"])
    assert uses(session) == ["magnitude_prune", "magnitude_prune", "channel_prune"]
    assert all("step 1, Magnitude pruning" in button.tooltip for button in panel.rows[0].buttons.values())


def test_an_illegal_value_is_answered_beside_it_and_ends_the_estimates(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, PRUNE, CHANNELS)
    number(panel, 1, "sparsity").value = 1.0
    pump.drain()
    assert session.problems() == ["steps[1].sparsity: 1.0 is outside 0 ≤ sparsity < 1"]
    assert message(panel.rows[1].form.view).count("is outside") == 1
    assert "unchanged" in panel.rows[0].line.value
    assert "this step can&#x27;t run" in panel.rows[1].line.value
    assert "step 2 can&#x27;t run" in panel.rows[2].line.value
    number(panel, 1, "sparsity").value = 0.9
    pump.drain()
    assert message(panel.view) == "" and "→" in panel.rows[2].line.value


def test_reasons_of_the_order_stand_at_their_step(tmp_path: Any) -> None:
    _, _, panel = opened(tmp_path, TRAIN, INT8, {**PRUNE, "skip": ["fc9"]})
    told = message(panel.rows[2].view)
    assert "int8_static already decided how numbers are stored; put magnitude_prune before it" in told
    assert "skip: no layer &#x27;fc9&#x27;, did you mean" in message(panel.rows[2].form.view)
    assert message(panel.rows[0].view) == message(panel.rows[1].view) == ""


def test_a_step_is_added_where_it_is_legal(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, INT8)
    labels = {name: label for label, name in panel.add.menu.options}
    assert labels["channel_prune"] == "Channel pruning (channel_prune), before step 2"
    assert labels["bfloat16"].startswith("✗")
    panel.add.menu.value = "channel_prune"
    press(pump, panel.add.button)
    assert uses(session) == ["train", "channel_prune", "int8_static"]
    assert session.problems() == []


def test_a_step_that_fits_nowhere_says_why_and_is_not_added(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, INT8)
    panel.add.menu.value = "bfloat16"
    press(pump, panel.add.button)
    assert uses(session) == ["train", "int8_static"]
    assert "bfloat16: weights are already int8 static" in panel.add.note.value
    assert "weights are already int8 static" in panel.add.list.value and "<b>int8_dynamic</b>" in panel.add.list.value


def test_a_step_whose_parameters_must_be_given_can_be_added(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN)
    for name in ("gradient_prune", "distill"):
        panel.add.menu.value = name
        press(pump, panel.add.button)
    assert uses(session) == ["train", "gradient_prune", "distill"]
    assert "give exactly one of sparsity and threshold" in message(panel.rows[1].view)


def test_only_what_holds_for_all_parameters_refuses_a_step(tmp_path: Any) -> None:
    _, _, panel = opened(tmp_path, {"use": "train"}, model="tiny_lm", data="python_source")
    assert panel.add.list.value == ""  # distil into another language model is possible


def test_zeros_that_save_nothing_bring_advice(tmp_path: Any) -> None:
    _, pump, panel = opened(tmp_path, TRAIN, PRUNE)
    assert panel.advice.value == ADVICE
    panel.session.steps = [*panel.session.steps, catalog.make("compress", CHANNELS).to_json()]
    pump.drain()
    assert panel.advice.value == ""


def test_a_format_that_can_not_write_the_model_is_refused(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN, INT8)
    panel.format.menu.value = "pt2"
    pump.drain()
    assert session.format == {"use": "onnx"} and "int8 static is not lowered to .pt2" in panel.format.note.value
    session.format = {"use": "pt2"}
    pump.drain()
    assert "int8 static is not lowered to .pt2" in panel.format.note.value


def test_the_format_decides_the_estimate(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN)
    before = panel.start.value
    panel.format.menu.value = "pt2"
    pump.drain()
    assert session.format == {"use": "pt2"} and panel.start.value != before


def test_metrics_are_ticked_and_keep_their_parameters(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path)
    panel.metrics.boxes["energy"].value = True
    panel.metrics.boxes["memory"].value = False
    panel.metrics.more.value = True
    pump.drain()
    assert [record["use"] for record in session.metrics] == ["energy", "latency", "quality", "size"]
    find(panel.metrics._forms["latency"], "threads", ipywidgets.IntText).value = 2
    pump.drain()
    assert session.metrics[1]["threads"] == 2
    session.metrics = [{"use": "latency", "threads": 4}]
    pump.drain()
    assert not panel.metrics.boxes["size"].value
    assert find(panel.metrics._forms["latency"], "threads", ipywidgets.IntText).value == 4


def test_a_metric_that_these_data_lack_labels_for_says_so(tmp_path: Any) -> None:
    told = judge({"model": {"use": "lenet_5"}, "data": {"use": "digits"}, "steps": [], "format": {"use": "onnx"},
                  "metrics": [{"use": "quality"}], "seed": 0}, None)  # fmt: skip
    assert told.metrics == {}
    _, pump, panel = opened(tmp_path)
    panel.metrics.tell({"quality": ["the data has no labels; use metric fidelity"]})
    assert "quality: the data has no labels" in panel.metrics.reasons.value


def test_the_seed_is_taken_when_it_is_legal(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path)
    field = find(panel.seed, "seed", ipywidgets.IntText)
    field.value = 5
    pump.drain()
    assert session.seed == 5
    field.value = -1
    pump.drain()
    assert session.seed == 5 and "seed: -1 is outside" in message(panel.seed.view)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_keeps_the_training_and_is_legal(tmp_path: Any, name: str) -> None:
    session, pump, panel = opened(tmp_path, {"use": "train", "epochs": 3}, PRUNE)
    press(pump, panel.presets[name])
    assert session.steps[0]["epochs"] == 3
    assert uses(session)[1:] == [step["use"] for step in PRESETS[name]]
    assert session.problems() == [] and len(panel.rows) == len(session.steps)


def test_a_model_without_a_card_has_rows_without_estimates(tmp_path: Any) -> None:
    session, pump, panel = opened(tmp_path, TRAIN)
    session.model = {"use": "hugging_face", "checkpoint": str(tmp_path / "nowhere")}
    pump.drain()
    assert "the model isn&#x27;t known yet" in panel.rows[0].line.value and panel.start.value == ""


def test_a_change_of_cost_is_said_in_few_words() -> None:
    before = Cost(244_000, 244_000, 61_000, 1_200_000, 0.05, 0.2)
    after = Cost(61_000, 61_000, 15_000, 600_000, 0.02, 0.09)
    assert change_words(before, after) == "244 kB → 61 kB · 1.2 M → 600 k MACs · 0.02–0.09 ms"
    assert change_words(after, after) == "unchanged: 61 kB · 600 k MACs · 0.02–0.09 ms"
    assert [count_words(count) for count in (999, 1000, 999_900, 2_290_000, 0)] == [
        "999",
        "1 k",
        "1,000 k",
        "2.29 M",
        "0",
    ]
