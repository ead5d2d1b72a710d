"""Every part of every family gets a form, whose messages are the library's and stand beside what caused them."""

from __future__ import annotations

import html
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal

import ipywidgets
import pytest
from looking_at import find, message, row, shown

from widgets._number import scale_of
from widgets.form import Form, blank_record, pick_one
from workbench import catalog
from workbench.errors import InvalidInput
from workbench.params import Params, build, describe, param
from workbench.part import FAMILIES, Part

PARTS = [part for family in FAMILIES for part in catalog.parts(family)]
NUMBERS = [(part, spec) for part in PARTS for spec in describe(part) if spec.kind in ("int", "float") and spec.bounds]
NUMBER_FIELDS = (ipywidgets.IntText, ipywidgets.FloatText)


class Everything(Params):
    """One parameter of each kind, also of kinds that no part has yet."""

    share: float = param(0.5, help="Share", ge=0, lt=1)
    rate: float = param(1e-3, help="Rate", gt=0, le=10)
    free: float = param(2.5, help="Any number")
    counted: int = param(3, help="Count", unit="things", ge=1, le=4096)
    needed: int = param(..., help="A number without default", ge=1)
    maybe: int | None = param(None, help="Count; none = all", ge=1, le=100)
    way: Literal["left", "right"] = param("left", help="Way")
    many: Literal[8, 10, 14, 18, 26] = param(8, help="One of many")
    named: str = param("", help="Text")
    on: bool = param(True, help="Switch")
    skip: list[str] = param([], help="Layers")
    options: dict[str, Any] = param({}, help="Options")
    teacher: Any = param(None, help="Another model", part="zoo")


def form_of(part: type[Params], values: dict[str, Any] | None = None) -> tuple[Form, list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    return Form(part, values, on_change=told.append), told


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.family}-{part.name()}")
def test_a_form_gives_back_the_defaults_of_every_part(part: type[Part]) -> None:
    form, told = form_of(part)
    required = [spec.name for spec in describe(part) if spec.required]
    assert form.value == blank_record(part)
    if required:
        assert all(name in shown_problem for name, shown_problem in zip(required, form.problems, strict=True))
        assert all("a value is required" in message(row(form, name)) for name in required)
    else:
        assert form.value == part().to_json()
        assert form.problems == []
    assert told == []


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.family}-{part.name()}")
def test_a_value_outside_its_bounds_is_taken_and_answered_beside_it(part: type[Part]) -> None:
    form, told = form_of(part)
    form._more.value = True
    legal = form.value
    for spec in [spec for owner, spec in NUMBERS if owner is part]:
        form.set(legal)
        high = next((bound for bound in (spec.le, spec.lt) if bound is not None), None)
        find(form, spec.name, NUMBER_FIELDS).value = value = high + 1
        assert told[-1][spec.name] == value
        with pytest.raises(InvalidInput) as refused:
            build(part, {name: each for name, each in form.value.items() if name != "use"})
        assert list(refused.value.problems) == form.problems
        assert f"is outside {html.escape(spec.bounds)}" in message(row(form, spec.name))
        assert 'role="alert"' in message(row(form, spec.name))
        answered = [name for name in form._specs if "is outside" in message(row(form, name))]
        assert answered == [spec.name]


@pytest.mark.parametrize(
    "name, kind, value",
    [
        ("share", ipywidgets.FloatText, 0.123),
        ("rate", ipywidgets.FloatText, 0.00042),
        ("free", ipywidgets.FloatText, -7.25),
        ("counted", ipywidgets.IntText, 17),
        ("way", ipywidgets.ToggleButtons, "right"),
        ("many", ipywidgets.Dropdown, 18),
        ("named", ipywidgets.Combobox, "a name"),
        ("on", ipywidgets.Checkbox, False),
        ("skip", ipywidgets.TagsInput, ["conv1"]),
    ],
)
def test_each_kind_has_its_control(name: str, kind: type, value: Any) -> None:
    form, told = form_of(Everything, {"needed": 4})
    form._more.value = True
    find(form, name, kind).value = value
    assert told == [form.value]
    assert form.value[name] == value
    assert form.problems == []


def test_every_control_has_a_label_and_says_what_it_is_for() -> None:
    form, _ = form_of(Everything)
    form._more.value = True
    for spec in describe(Everything):
        controls = [each for each in shown(row(form, spec.name)) if isinstance(each, ipywidgets.ValueWidget)]
        told = " ".join(getattr(each, "description", "") + str(each.value) for each in controls)
        assert spec.name in told
        assert spec.bounds.replace(spec.name, "").strip()[:1] in told
        assert any(each.tooltip == spec.help for each in controls if hasattr(each, "tooltip"))


def test_a_slider_and_its_field_say_the_same() -> None:
    form, told = form_of(Everything, {"needed": 4})
    slider, field = find(form, "share", ipywidgets.IntSlider), find(form, "share", ipywidgets.FloatText)
    slider.value = 80
    assert (field.value, told[-1]["share"]) == (0.8, 0.8)
    field.value = 0.123
    assert (slider.value, told[-1]["share"]) == (12, 0.123)


def test_the_end_of_a_slider_is_an_exclusive_bound_and_says_so() -> None:
    form, _ = form_of(Everything, {"needed": 4})
    slider = find(form, "share", ipywidgets.IntSlider)
    slider.value = slider.max
    assert form.problems == ["share: 1.0 is outside 0 ≤ share < 1"]
    assert "share: 1.0 is outside 0 ≤ share &lt; 1" in message(row(form, "share"))


def test_a_scale_reaches_both_ends_and_no_position_leaves_it() -> None:
    for _, spec in NUMBERS:
        if (scale := scale_of(spec)) is None:
            continue
        values = [scale.value(position) for position in range(scale.num_steps + 1)]
        assert values == sorted(values)
        assert values[0] == scale.low and values[-1] == scale.high
        assert scale.position(values[-1] + 1) == scale.num_steps and scale.position(values[0] - 1) == 0
        assert all(scale.value(scale.position(value)) == pytest.approx(value, rel=0.05) for value in values)


def test_none_is_a_box_that_rests_the_control() -> None:
    form, told = form_of(Everything, {"needed": 4})
    form._more.value = True
    box = find(form, "maybe", ipywidgets.Checkbox)
    field = find(form, "maybe", ipywidgets.IntText)
    assert box.value and field.disabled
    box.value = False
    assert not field.disabled and told[-1]["maybe"] == field.value
    field.value = 7
    assert told[-1]["maybe"] == 7
    box.value = True
    assert told[-1]["maybe"] is None and field.disabled


def test_a_number_without_default_begins_empty_with_a_message() -> None:
    form, told = form_of(Everything)
    field = find(form, "needed", ipywidgets.Combobox)
    assert field.value == "" and "needed" not in form.value
    assert "needed: a value is required" in message(row(form, "needed"))
    field.value = "12"
    assert told[-1]["needed"] == 12 and form.problems == []
    field.value = "twelve"
    assert "needed: " in message(row(form, "needed")) and told[-1]["needed"] == "twelve"


def test_options_are_json_and_anything_else_is_refused_beside_the_field() -> None:
    form, told = form_of(Everything, {"needed": 4})
    form._more.value = True
    field = find(form, "options", ipywidgets.Combobox)
    field.value = '{"width": 8}'
    assert told[-1]["options"] == {"width": 8} and form.problems == []
    field.value = '{"width":'
    assert "options: " in message(row(form, "options")) and "options" in form.problems[0]


def test_a_nested_part_has_a_form_of_its_own() -> None:
    form, told = form_of(catalog.get("compress", "distill"))
    menu = find(form, "teacher", ipywidgets.Dropdown)
    menu.value = "lenet_5"
    assert told[-1]["teacher"] == blank_record(catalog.get("zoo", "lenet_5"))
    nested = form._controls["teacher"].form
    find(nested, "hidden", ipywidgets.IntText).value = 5000
    assert told[-1]["teacher"]["hidden"] == 5000
    assert form.problems == ["teacher.hidden: 5000 is outside 1 ≤ hidden ≤ 4096"]
    assert "hidden: 5000 is outside" in message(row(nested, "hidden"))
    menu.value = "run:"
    find(form, "teacher", ipywidgets.Combobox).value = "run:lenet_5-0123456789-01"
    assert told[-1]["teacher"] == "run:lenet_5-0123456789-01"
    menu.value = ""
    assert told[-1]["teacher"] is None


def test_what_was_changed_is_never_hidden() -> None:
    train = catalog.get("compress", "train")
    form, _ = form_of(train)
    in_sight = [name for name in form._specs if row(form, name).layout.display != "none"]
    assert in_sight == ["epochs", "batch_size", "learning_rate"]
    form.set({**form.value, "clip": 0.5})
    assert find(form, "clip", ipywidgets.FloatText).value == 0.5
    form._more.value = True
    find(form, "augment", ipywidgets.ToggleButtons).value = "mixup"
    form._more.value = False
    assert row(form, "augment").layout.display != "none"
    assert row(form, "schedule").layout.display == "none"


def test_setting_a_form_shows_it_and_tells_nobody() -> None:
    form, told = form_of(Everything, {"needed": 4})
    form._more.value = True
    wanted = {"needed": 9, "share": 0.25, "rate": 0.5, "maybe": 3, "way": "right", "skip": ["fc1"], "options": {"a": 1}}
    form.set(wanted)
    assert told == []
    assert form.value == {**blank(Everything), **wanted}
    assert find(form, "share", ipywidgets.FloatText).value == 0.25
    assert find(form, "skip", ipywidgets.TagsInput).value == ["fc1"]
    assert find(form, "options", ipywidgets.Combobox).value == '{"a": 1}'


def blank(part: type[Params]) -> dict[str, Any]:
    return {spec.name: spec.default for spec in describe(part) if not spec.required}


def test_layers_are_suggested_and_an_unknown_one_stays_to_be_seen() -> None:
    form = Form(Everything, {"needed": 4, "skip": ["gone"]}, on_change=print, words={"skip": ["fc1", "fc2"]})
    tags = find(form, "skip", ipywidgets.TagsInput)
    assert tags.value == ["gone"] and tags.allowed_tags == ["fc1", "fc2", "gone"]
    form.suggest("skip", ["conv1"])
    assert tags.allowed_tags == ["conv1", "gone"]


def test_reasons_from_elsewhere_stand_beside_the_parameter_that_they_begin_with() -> None:
    form, _ = form_of(Everything, {"needed": 4})
    rest = form.tell(["skip: no layer 'x'", "no layer left to prune"])
    assert rest == ["no layer left to prune"]
    assert "skip: no layer" in message(row(form, "skip"))
    form.tell([])
    assert message(form.view) == ""


def test_an_unknown_parameter_is_a_problem_of_the_whole_form() -> None:
    form, _ = form_of(catalog.get("compress", "magnitude_prune"), {"sparsty": 0.5})
    assert "unknown parameter &#x27;sparsty&#x27;, did you mean" in message(form.view)


def test_a_text_is_shown_as_text() -> None:
    form, _ = form_of(catalog.get("zoo", "hugging_face"), {"checkpoint": "<b>x</b>", "revision": 3})
    assert "<b>" not in message(form.view) and "revision: " in message(form.view)


def test_handlers_only_leave_word() -> None:
    waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
    told: list[Any] = []
    form = Form(Everything, on_change=told.append, do=lambda function, *args, key: waiting.append((function, args)))
    find(form, "share", ipywidgets.IntSlider).value = 30
    assert told == [] and find(form, "share", ipywidgets.FloatText).value == 0.5
    for function, args in waiting:
        function(*args)
    assert told[-1]["share"] == 0.3 and len(waiting) == 1


def test_a_part_that_is_refused_can_not_be_picked_and_says_why() -> None:
    told: list[Any] = []
    control = pick_one("zoo", told.append, lambda function, *args, key: function(*args), name="model", help="Model")
    control.show({"use": "lenet_5"})
    control.refuse({"tiny_lm": ["takes text only"]})
    assert control.menu.value == "lenet_5" and told == []
    assert ("✗ Tiny language model (tiny_lm)", "tiny_lm") in control.menu.options
    control.menu.value = "tiny_lm"
    assert control.menu.value == "lenet_5" and told == [] and "takes text only" in control.note.value
    control.menu.value = "vit"
    assert told[-1]["use"] == "vit" and control.note.value == ""


def test_forms_leave_torch_alone() -> None:
    code = (
        "import sys; from widgets.form import Form; from workbench import catalog; from workbench.part import FAMILIES\n"
        "for family in FAMILIES:\n for part in catalog.parts(family): Form(part, on_change=print).problems\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
