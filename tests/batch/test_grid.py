"""A grid becomes typed points: every combination once, everything that is wrong with it said at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_notebooks import written
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.batch._declared import declared, warnings
from workbench.batch.execute import read
from workbench.batch.grid import read_grid, word
from workbench.errors import InvalidInput
from workbench.params import ParamSpec

SPECS = (
    ParamSpec("bits", "int", 8, "", choices=(2, 4, 8)),
    ParamSpec("seed", "int", 0, ""),
    ParamSpec("rate", "float", 0.1, "", ge=0.0, le=1.0),
    ParamSpec("name", "str", "a", ""),
    ParamSpec("layers", "list", [], ""),
    ParamSpec("share", "float", None, "", optional=True),
)
VALUES = {
    "bits": some.sampled_from([2, 4, 8]),
    "seed": some.integers(0, 50),
    "rate": some.floats(0, 1),
    "name": some.text(max_size=4),
}


@some.composite
def axes(draw: some.DrawFn) -> dict[str, list[object]]:
    names = draw(some.lists(some.sampled_from(list(VALUES)), unique=True))
    return {name: draw(some.lists(VALUES[name], min_size=1, max_size=4, unique=True)) for name in names}


@given(axes())
@settings(max_examples=60, deadline=None)
def test_axes_give_every_combination_once_and_nothing_else(wanted: dict[str, list[object]]) -> None:
    points = read_grid(SPECS, {"axes": wanted}).points
    size = 1
    for values in wanted.values():
        size *= len(values)
    defaults = {spec.name: spec.default for spec in SPECS}
    assert len(points) == len({str(defaults | point) for point in points}) == size
    assert all(point[name] in values for point in points for name, values in wanted.items())


@given(axes(), some.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_sample_is_a_part_of_the_grid_and_the_same_each_time(wanted: dict[str, list[object]], n: int) -> None:
    everything = read_grid(SPECS, {"axes": wanted}).points
    if not n:
        return
    sampled = [read_grid(SPECS, {"axes": wanted, "sample": {"n": n, "seed": 1}}).points for _ in range(2)]
    assert sampled[0] == sampled[1] and len(sampled[0]) == min(n, len(everything))
    assert all(point in everything for point in sampled[0])


def test_the_keys_of_a_grid_work_together() -> None:
    grid = read_grid(
        SPECS,
        {
            "base": {"name": "b"}, "zip": {"bits": [2, 4], "rate": [0.2, "4e-1"]}, "seeds": "0..2",
            "exclude": "bits = 2 and seed > 0", "include": [{"bits": 8}],
        },
        ["share=none", "layers=x,y"],
    )  # fmt: skip
    assert [(p["bits"], p.get("rate"), p.get("seed")) for p in grid.points] == [
        (2, 0.2, 0), (4, 0.4, 0), (4, 0.4, 1), (4, 0.4, 2), (8, None, None),
    ]  # fmt: skip
    assert all(p["name"] == "b" and p["layers"] == ["x", "y"] and p["share"] is None for p in grid.points)


def test_words_win_over_the_file() -> None:
    points = read_grid(SPECS, {"axes": {"bits": [2, 4], "seed": [1]}}, ["bits=8", "seed=3..4", "name=007"]).points
    assert points == ({"bits": 8, "seed": 3, "name": "007"}, {"bits": 8, "seed": 4, "name": "007"})


@given(some.text(some.characters(exclude_categories=["Cc", "Cs"]), max_size=8))
@settings(max_examples=80, deadline=None)
def test_a_spelled_text_comes_back_as_it_was(text: str) -> None:
    assert read_grid(SPECS, None, [word("name", text), word("layers", ["x", "y"]), word("share", None)]).points == (
        {"name": text, "layers": ["x", "y"], "share": None},
    )


def test_a_value_that_is_the_default_is_no_further_row() -> None:
    assert len(read_grid(SPECS, [{}, {"bits": 8}, {"seed": 0, "rate": 0.1}, {"bits": 4}]).points) == 2


def test_csv_cells_get_the_declared_types_and_empty_ones_the_default(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("name,bits,rate\n007,4,1\n1e5,,0.5\n")
    points = read_grid(SPECS, tmp_path / "rows.csv").points
    assert points == ({"name": "007", "bits": 4, "rate": 1.0}, {"name": "1e5", "rate": 0.5})


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    grid = {
        "axes": {"bits": [3], "seed": "many"}, "zip": {"rate": [2.0], "name": ["x", "y"]}, "exclude": ["bts = 2"],
        "sample": 3, "inputs": "data", "extra": 1,
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        read_grid(SPECS, grid, ["oops"])
    said = "\n".join(caught.value.problems)
    for part in (
        "3 is not one of 2, 4, 8",
        "seed needs a list",
        "differ in length",
        "exclude: no column 'bts'",
        "sample: must be",
        "inputs: must be",
        "unknown key 'extra'",
        "'oops' is not name=value",
    ):
        assert part in said


def test_a_grid_without_a_point_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no point left"):
        read_grid(SPECS, {"axes": {"seed": [1, 2]}, "exclude": "seed > 0"})


def test_comments_declare_choices_and_ranges(tmp_path: Path) -> None:
    cell = 'bits: int = 8  # grid steps; choices: 2, 4, 8\nrate = 0.5  # range: 0..1\nfree = "x"  # a range of things\nlr2 = rate * 2'
    source = read(written(tmp_path, "pass", parameters=cell))
    bits, rate, free, _ = declared(source)
    assert (
        (bits.choices, bits.help) == ((2, 4, 8), "grid steps") and (rate.ge, rate.le) == (0.0, 1.0) and not free.bounds
    )
    assert ["lr2 = rate * 2" in warning for warning in warnings(source)] == [True]
