"""What holds for every part of every family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.promises._every import EVERY, made, record_of
from workbench import catalog
from workbench.errors import InvalidInput
from workbench.params import describe
from workbench.part import Part

ids = [f"{family}/{name}" for family, name in EVERY]
every_part = pytest.mark.parametrize(("family", "name"), EVERY, ids=ids)


@every_part
def test_a_part_says_what_it_is(family: str, name: str) -> None:
    cls = catalog.get(family, name)
    assert cls.title, "a title is what menus show"
    assert cls.source or family == "launch", "a part names its paper, equation or library"
    assert cls.__doc__ and cls.__doc__ != Part.__doc__


@every_part
def test_its_parameters_are_documented_and_bounded(family: str, name: str) -> None:
    for spec in describe(catalog.get(family, name)):
        assert len(spec.help) >= 5, f"{spec.name} has no help"
        if spec.kind in ("int", "float"):
            assert spec.ge is not None or spec.gt is not None, f"{spec.name} has no lower bound"
            assert spec.le is not None or spec.lt is not None, f"{spec.name} has no upper bound"
        if spec.kind == "choice":
            assert len(spec.choices) >= 2, f"{spec.name} leaves no choice"


@every_part
def test_it_survives_a_trip_through_json(family: str, name: str, tmp_path: Path) -> None:
    part = made(family, name, tmp_path)
    again = catalog.make(family, json.loads(json.dumps(part.to_json())))
    assert again == part
    assert again.to_json() == part.to_json()


@every_part
def test_an_unknown_parameter_is_refused_by_name(family: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no_such_parameter"):
        catalog.make(family, {**record_of(family, name, tmp_path), "no_such_parameter": 1})


@every_part
def test_values_outside_the_bounds_are_refused_with_the_bounds(family: str, name: str, tmp_path: Path) -> None:
    record = record_of(family, name, tmp_path)
    for spec in describe(catalog.get(family, name)):
        outside = [bound - 1 for bound in (spec.ge,) if bound is not None]
        outside += [bound + 1 for bound in (spec.le,) if bound is not None]
        outside += [bound for bound in (spec.gt, spec.lt) if bound is not None]
        for value in outside:
            with pytest.raises(InvalidInput, match=spec.name) as told:
                catalog.make(family, {**record, spec.name: value})
            assert repr(value) in str(told.value) or repr(float(value)) in str(told.value)


@every_part
def test_a_value_of_the_wrong_kind_is_refused(family: str, name: str, tmp_path: Path) -> None:
    record = record_of(family, name, tmp_path)
    for spec in describe(catalog.get(family, name)):
        if spec.kind in ("int", "float", "bool", "choice", "list", "part"):
            with pytest.raises(InvalidInput, match=spec.name):
                catalog.make(family, {**record, spec.name: "certainly not" if spec.kind != "part" else 3.5})


@every_part
def test_every_problem_is_told_at_once(family: str, name: str, tmp_path: Path) -> None:
    record = record_of(family, name, tmp_path)
    with pytest.raises(InvalidInput) as told:
        catalog.make(family, {**record, "first_wrong": 1, "second_wrong": 2})
    assert len(told.value.problems) >= 2


@every_part
def test_a_part_is_frozen(family: str, name: str, tmp_path: Path) -> None:
    part = made(family, name, tmp_path)
    specs = describe(type(part))
    if specs:
        with pytest.raises(ValueError, match="frozen"):
            setattr(part, specs[0].name, getattr(part, specs[0].name))
