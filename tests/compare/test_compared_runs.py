"""Two runs side by side: paired answers, flips, classes, and latency only where it was measured together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from crafted import interleaved, run, text_run

from workbench.compare import compare_runs, ratio_interval
from workbench.errors import InvalidInput
from workbench.nouns import Measurement


def test_answers_are_paired_example_by_example(tmp_path: Path) -> None:
    a = run(tmp_path, "a-01", wrong=(), wrong_test=range(40))
    b = run(tmp_path, "b-01", wrong=(), wrong_test=range(30, 100))
    found = compare_runs(a, b)
    assert found.accuracy is not None
    assert (found.accuracy.only_a, found.accuracy.only_b, found.accuracy.neither) == (60, 30, 10)
    assert found.accuracy.verdict == "b is worse"
    assert [flip.kind for flip in found.flips] == ["broken"] * 60 + ["fixed"] * 30
    assert {flip.index for flip in found.flips if flip.kind == "broken"} == set(range(40, 100))
    assert sum(row.broken for row in found.classes) == 60 and sum(row.n for row in found.classes) == 1000


def test_the_worst_flip_comes_first(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a-01", n=40), run(tmp_path, "b-01", n=40, wrong_test=(3, 7, 11))
    path = Path(b.folder) / "samples" / "predictions.npz"
    with np.load(path) as kept:
        arrays = dict(kept)
    arrays["test_outputs"][7] *= 3  # wrong with more confidence
    arrays["test_outputs"][11] *= 0.2
    np.savez(path, **arrays)
    flips = compare_runs(a, b).flips
    assert [flip.index for flip in flips] == [7, 3, 11]
    assert flips[0].probability_a > 0.9 > 0.01 > flips[0].probability_b
    assert (flips[0].label, flips[0].predicted_a, flips[0].predicted_b) == ("3", "3", "0")


def test_an_answer_with_nan_is_wrong(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a-01", n=20), run(tmp_path, "b-01", n=20)
    path = Path(b.folder) / "samples" / "predictions.npz"
    with np.load(path) as kept:
        arrays = dict(kept)
    arrays["test_outputs"][0] = np.nan  # argmax of NaN is 0, which is the target here
    np.savez(path, **arrays)
    assert [flip.index for flip in compare_runs(a, b).flips] == [0]


def test_class_names_come_from_the_artifact(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a-01", n=40), run(tmp_path, "b-01", n=40, wrong_test=(2,))
    (Path(b.folder) / "artifact").mkdir()
    (Path(b.folder) / "artifact" / "card.json").write_text(json.dumps({"labels": ["ant", "bee", "cat", "dog"]}))
    found = compare_runs(a, b)
    assert (found.flips[0].label, found.flips[0].predicted_b) == ("cat", "dog")
    assert found.classes[0].label == "cat" and found.classes[0].right_b == 9


def test_answers_to_other_examples_are_not_paired(tmp_path: Path) -> None:
    a = run(tmp_path, "a-01")
    assert compare_runs(a, run(tmp_path, "b-01", data="d1")).why_not_paired == "they were tested on different data"
    assert "1000 and 10" in compare_runs(a, run(tmp_path, "c-01", n=10)).why_not_paired
    bare = run(tmp_path, "d-01")
    (Path(bare.folder) / "samples" / "predictions.npz").unlink()
    found = compare_runs(a, bare)
    assert found.accuracy is None and found.why_not_paired == "d-01 kept no samples/predictions.npz"


def test_latency_is_taken_from_the_run_that_timed_both(tmp_path: Path) -> None:
    this, other = interleaved(np.random.default_rng(0), 0.7)
    a = run(tmp_path, "a-01", ms=9.0)
    b = run(tmp_path, "b-01", ms=1.0, parent="a-01", times={"this_ms": this, "parent_ms": other})
    run_times = {"this_ms": other}
    np.savez(Path(a.folder) / "samples" / "latency.npz", **run_times)  # type: ignore[arg-type]
    found, back = compare_runs(a, b).latency, compare_runs(b, a).latency
    assert found.ratio == ratio_interval(this, other) and found.how == "measured together"
    assert back.ratio is not None and back.ratio.verdict == "slower"
    assert back.ratio.ratio == pytest.approx(1 / found.ratio.ratio)  # type: ignore[union-attr]


def test_latency_goes_through_the_third_that_both_were_timed_with(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    made = []
    for name, ratio in (("a-01", 0.5), ("b-01", 0.8)):
        this, other = interleaved(random, ratio)
        made.append(run(tmp_path, name, parent="p-01", reference="r-01", times={"this_ms": this, "parent_ms": other}))
    found = compare_runs(*made).latency
    assert found.how == "through p-01, timed with each of them" and found.ratio is not None
    assert found.ratio.lo < 1.6 < found.ratio.hi and found.ratio.verdict == "slower"


def test_times_of_two_separate_runs_make_no_ratio(tmp_path: Path) -> None:
    times = {"this_ms": np.ones((3, 10))}
    a, b = run(tmp_path, "a-01", times=times), run(tmp_path, "b-01", times=times)
    assert compare_runs(a, b).latency.how == "never measured together: use --measure"
    assert compare_runs(a, b, together=(np.ones((3, 10)), np.full((3, 10), 2.0))).latency.ratio.ratio == 2.0  # type: ignore[union-attr]


@pytest.mark.parametrize("other", [{"batch": 32}, {"cpu": "another"}])
def test_ratios_of_other_conditions_are_not_combined(tmp_path: Path, other: dict) -> None:  # type: ignore[type-arg]
    this, parent = interleaved(np.random.default_rng(2), 1.0)
    times = {"this_ms": this, "parent_ms": parent}
    a = run(tmp_path, "a-01", parent="p-01", times=times)
    b = run(tmp_path, "b-01", parent="p-01", times=times, **other)
    found = compare_runs(a, b).latency
    assert found.ratio is None and "different conditions" in found.note


def test_a_ratio_that_was_not_measured_alone_says_so(tmp_path: Path) -> None:
    this, other = interleaved(np.random.default_rng(3), 0.7)
    a = run(tmp_path, "a-01", times={"this_ms": other})
    b = run(tmp_path, "b-01", parent="a-01", alone=False, times={"this_ms": this, "parent_ms": other})
    found = compare_runs(a, b).latency
    assert found.measured_alone is False and found.note


def test_every_shared_measurement_gets_the_verdict_it_can_bear(tmp_path: Path) -> None:
    def throughput(value: float, spread: float) -> Measurement:
        return Measurement("throughput", "examples/s", "higher", value, value - spread, value + spread)

    a = run(
        tmp_path, "a-01", bytes=100, ms=1.0, extra=(throughput(50, 5), Measurement("f1_macro", "share", "higher", 0.9))
    )
    b = run(
        tmp_path, "b-01", bytes=80, ms=3.0, extra=(throughput(58, 5), Measurement("f1_macro", "share", "higher", 0.8))
    )
    found = {each.name: each for each in compare_runs(a, b).differences if each.conditions.get("split") != "validation"}
    assert found["artifact_bytes"].verdict == "better" and found["artifact_bytes"].ratio == 0.8
    assert found["accuracy"].verdict == "cannot be told apart"
    assert found["latency_ms_p50"].verdict == "see latency"
    assert found["throughput"].verdict == "cannot be told apart"
    assert found["f1_macro"].verdict == "no interval"
    assert found["peak_memory_bytes"].verdict == "no interval"


def test_texts_are_paired_by_sequence(tmp_path: Path) -> None:
    nll = np.random.default_rng(4).gamma(4.0, 0.5, (50, 20))
    found = compare_runs(text_run(tmp_path, "a-01", nll), text_run(tmp_path, "b-01", nll - 0.02))
    assert found.perplexity is not None and found.perplexity.verdict == "b is better"
    verdicts = {each.name: each.verdict for each in found.differences if each.conditions.get("split") == "test"}
    assert verdicts["perplexity"] == "better"


def test_only_finished_runs_are_compared(tmp_path: Path) -> None:
    good, failed = run(tmp_path, "good-01"), run(tmp_path, "failed-01", status="failed")
    with pytest.raises(InvalidInput, match="failed-01 is failed"):
        compare_runs(good, failed)


def test_a_comparison_is_plain_values(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a-01"), run(tmp_path, "b-01", wrong_test=(1,))
    record = json.loads(json.dumps(compare_runs(a, b).to_json()))
    assert record["accuracy"]["verdict"] == "cannot be told apart" and record["flips"][0]["kind"] == "broken"
