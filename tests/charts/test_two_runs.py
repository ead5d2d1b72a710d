"""Charts of one run against another: the forest plot, single examples, text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crafted_runs import crafted_run, with_predictions

from workbench.charts.comparison import comparison_data, comparison_figure
from workbench.charts.flips import filter_flips, flips_data, probabilities_data
from workbench.charts.text_changes import byte_texts, text_changes_data, text_changes_figure
from workbench.compare import compare_runs, ratio_interval
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Measurement, Run

INT8 = ({"use": "train"}, {"use": "int8_dynamic"})


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Run, Run]:
    """A parent that has all of 200 right, and a run of a quarter of its bytes that has 20 wrong."""
    targets = np.arange(200) % 10
    wrong = np.where(np.arange(200) < 20, (targets + 1) % 10, targets)
    parent = crafted_run("base-01", size=400_000, folder=with_predictions(tmp_path / "a", targets, targets))
    run = crafted_run("small-01", steps=INT8, size=100_000, parent="base-01",
                      folder=with_predictions(tmp_path / "b", wrong, targets))  # fmt: skip
    return parent, run


def times(factor: float) -> np.ndarray:
    return factor * np.random.default_rng(0).normal(1.0, 0.01, (5, 30))


def test_every_effect_has_a_verdict_and_what_crosses_no_change_is_drawn_neutral(pair: tuple[Run, Run]) -> None:
    same = (times(1.0), np.random.default_rng(1).normal(1.0, 0.01, (5, 30)))
    data = comparison_data(compare_runs(*pair, together=same), label_a="parent", label_b="int8")
    effects = {effect.name: effect for effect in data.effects}
    accuracy, latency, size = effects["accuracy"], effects["latency"], effects["artifact_bytes"]
    assert (accuracy.kind, accuracy.value, accuracy.side, accuracy.verdict) == ("difference", -10.0, "worse", "worse")
    assert accuracy.lo is not None and accuracy.lo < -10 < accuracy.hi and "20 broken, 0 fixed of 200" in accuracy.note
    assert (latency.side, latency.verdict) == ("neutral", "cannot be told apart") and latency.lo < 1 < latency.hi
    assert (size.value, size.side, size.lo, size.a, size.b) == (0.25, "better", None, "400 kB", "100 kB")
    figure = comparison_figure(data)
    names = {name: trace.name for trace in figure.data for name in trace.customdata}
    assert names["latency"].startswith("cannot be told apart") and names["accuracy"] == "B is worse"
    assert len({trace.marker.symbol for trace in figure.data}) == 3, "shape as well as colour"
    assert any("cannot be told apart" in note.text for note in figure.layout.annotations)
    assert "latency" in figure.layout.meta["alt"] and "points" in figure.layout.xaxis.title.text


def test_a_clear_ratio_keeps_its_interval_and_its_direction(pair: tuple[Run, Run]) -> None:
    data = comparison_data(compare_runs(*pair, together=(times(1.0), times(0.5))))
    latency = next(effect for effect in data.effects if effect.name == "latency")
    expected = ratio_interval(times(0.5), times(1.0))
    assert (latency.value, latency.lo, latency.hi) == (expected.ratio, expected.lo, expected.hi)
    assert (latency.side, latency.verdict) == ("better", "faster")


def test_what_could_not_be_compared_is_said_in_words(pair: tuple[Run, Run], tmp_path: Path) -> None:
    parent, run = pair
    data = comparison_data(compare_runs(parent, replace(run, folder=str(tmp_path / "nowhere"))))
    assert any("kept no" in why for why in data.why_missing) and any(
        "never measured together" in why for why in data.why_missing
    )
    bare = [replace(each, measurements=(), folder=str(tmp_path / "nowhere")) for each in pair]
    assert "Nothing to draw" in comparison_figure(comparison_data(compare_runs(*bare))).layout.meta["alt"]


def test_flips_are_picked_by_outcome_class_and_answer(pair: tuple[Run, Run]) -> None:
    flips = flips_data(pair[1], pair[0]).flips
    assert len(filter_flips(flips)) == 20 and not filter_flips(flips, outcomes=["fixed"])
    ones = filter_flips(flips, outcomes=["broken"], targets=["1", "2"], after=["2"])
    assert len(ones) == 2 and {(flip.target, flip.after) for flip in ones} == {("1", "2")}
    assert not filter_flips(flips, before=["1"], targets=["2"])


def test_an_example_shows_its_likeliest_classes_and_always_the_right_one(pair: tuple[Run, Run], tmp_path: Path) -> None:
    found = probabilities_data(pair[1], pair[0], 3, most=2)
    assert set(found.classes) == {"3", "4"} and found.target == "3" and found.num_left_out == 8
    at = found.classes.index("3")
    assert found.before[at] > 0.8 > 0.1 > found.after[at]
    unlikely = [
        crafted_run(name, folder=with_predictions(tmp_path / name, np.array([answer]), np.array([5])))
        for name, answer in (("c-01", 1), ("d-01", 2))
    ]
    few = probabilities_data(unlikely[1], unlikely[0], 0, most=2)
    assert set(few.classes[:2]) == {"1", "2"} and few.classes[2:] == ("5",) and few.num_left_out == 7
    whole = probabilities_data(pair[1], pair[0], 3)
    assert sum(whole.before) == pytest.approx(1) and sum(whole.after) == pytest.approx(1)
    with pytest.raises(InvalidInput, match="no test example 200: they go from 0 to 199"):
        probabilities_data(pair[1], pair[0], 200)


def read(folder: Path, run_id: str, nll: list[list[float]], text: list[bytes]) -> Run:
    (folder / "samples").mkdir(parents=True)
    targets = np.array([list(line) for line in text])
    targets[0, 0] = -100
    np.savez(folder / "samples" / "predictions.npz", test_nll=np.array(nll, np.float32), test_targets=targets)
    measured = Measurement("perplexity", "1", "lower", 3.0, conditions={"split": "test"})
    return replace(crafted_run(run_id), folder=str(folder), measurements=(measured,))


def test_text_that_got_harder_comes_first_token_by_token(tmp_path: Path) -> None:
    text = [b"a b", b"x\ty", b"no\xc3"]
    parent = read(tmp_path / "a", "base-01", [[9, 1, 1], [1, 1, 1], [2, 2, 2]], text)
    run = read(tmp_path / "b", "small-01", [[9, 1, 2], [1, 4, 1], [1, 1, 1]], text)
    data = text_changes_data(run, parent)
    assert [each.index for each in data.worst] == [1, 0] and [each.index for each in data.best] == [2]
    worst, ignoring = data.worst
    assert worst.text == "x⇥y" and worst.change == pytest.approx(1.0)
    assert [(token.text, token.change) for token in worst.tokens] == [("x", 0.0), ("⇥", 3.0), ("y", 0.0)]
    assert ignoring.text == " b" and ignoring.before == pytest.approx(1.0), "an ignored target carries no loss"
    assert data.best[0].text == "no·" and data.share_worse == pytest.approx(2 / 3) and data.num_tokens == 8
    figure = text_changes_figure(data)
    assert {index for trace in figure.data for index in trace.customdata} == {0, 1, 2}
    assert (
        "67% of 3 sequences are worse" in figure.layout.meta["alt"]
        and "nats per token" in figure.layout.yaxis.title.text
    )


def test_tokens_that_are_no_bytes_need_their_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="token 3021 is no byte"):
        byte_texts(np.array([65, 3021]))
    runs = [
        read(tmp_path / name, f"{name}-01", [[value] * 3] * 2, [b"abc", b"def"]) for name, value in (("a", 1), ("b", 2))
    ]
    words = text_changes_data(runs[1], runs[0], decode=lambda tokens: [f"<{token}>" for token in tokens])
    assert words.worst[0].text in ("<100><101><102>", "<98><99>")


def test_text_is_only_compared_with_the_same_text(tmp_path: Path) -> None:
    one = read(tmp_path / "a", "a-01", [[1, 1, 1]] * 2, [b"abc", b"def"])
    other = read(tmp_path / "b", "b-01", [[1, 1, 1]] * 2, [b"abc", b"xyz"])
    with pytest.raises(InvalidInput, match="did not read the same test text"):
        text_changes_data(other, one)
    with pytest.raises(ArtifactError, match="kept no"):
        text_changes_data(crafted_run("none-01", folder=str(tmp_path / "c")), one)
