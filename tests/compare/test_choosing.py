"""Choosing on crafted runs: what is recommended, and what is said against the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crafted import run, text_run

from workbench.compare import Budgets, choose
from workbench.errors import InvalidInput
from workbench.nouns import Measurement, Run

PRUNED = ({"use": "train"}, {"use": "magnitude_prune"})


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """A parent with 10 of 1000 wrong, and what was made of it."""
    parent = run(tmp_path, "parent-01", wrong=range(10), bytes=1000, ms=1.0)
    made = [
        run(tmp_path, "same-01", wrong=range(10), bytes=500, ms=0.8, parent="parent-01", steps=PRUNED),
        run(tmp_path, "small-01", wrong=range(11), bytes=200, ms=0.5, parent="parent-01", steps=PRUNED),
        run(tmp_path, "worse-01", wrong=range(60), bytes=50, ms=0.1, parent="parent-01", steps=PRUNED),
    ]
    return [parent, *made]


def test_the_smallest_product_that_keeps_to_the_drop_is_taken(runs: list[Run]) -> None:
    choice = choose(runs, Budgets(max_drop=1.0))
    assert choice.recommended is not None and choice.recommended.run_id == "small-01"
    assert set(choice.why_not) == {"parent-01", "same-01", "worse-01"}
    assert choice.why_not["worse-01"] == ["it loses 5.00 points on validation (n = 1000), budget 1"]
    assert "bytes × latency is 4.00 ×" in choice.why_not["same-01"][0]
    assert choice.drops["small-01"].value == pytest.approx(0.1) and choice.drops["parent-01"].bound == 0


@pytest.mark.parametrize(
    ("budgets", "taken"),
    [
        ({"max_drop": 1.0, "max_bytes": 100}, None),
        ({"max_bytes": 100}, "worse-01"),
        ({"max_bytes": 600}, "same-01"),  # without a budget on accuracy: the most accurate that fits
        ({"max_latency_ms": 0.6, "min_accuracy": 0.95}, "small-01"),
        ({"min_accuracy": 0.9895}, "same-01"),
        ({"max_drop": 0.0}, "parent-01"),
        ({"max_drop": 10.0}, "worse-01"),
        ({"max_memory_bytes": 9_999_999}, None),
        ({}, "same-01"),
    ],
)
def test_each_budget_decides(runs: list[Run], budgets: dict[str, Any], taken: str | None) -> None:
    choice = choose(runs, Budgets(**budgets))
    assert (choice.recommended.run_id if choice.recommended else None) == taken
    assert all(choice.why_not[each.run_id] for each in runs if each.run_id != taken)
    assert choice.why


def test_test_answers_are_reported_and_never_chosen_by(tmp_path: Path) -> None:
    """The run that is best on test and out of budget on validation stays out; swapping test changes no decision."""
    parent = run(tmp_path, "parent-01", wrong=range(10))
    lucky = run(tmp_path, "lucky-01", wrong=range(80), wrong_test=(), bytes=10, parent="parent-01")
    plain = run(tmp_path, "plain-01", wrong=range(10), wrong_test=range(500), bytes=20, parent="parent-01")
    choice = choose([parent, lucky, plain], Budgets(max_drop=1.0))
    assert choice.recommended is plain
    assert "Test, not used to choose: accuracy 50.00% [49.00%, 51.00%], n = 1000." in choice.why
    assert not any("test" in reason.lower() for reasons in choice.why_not.values() for reason in reasons)


def test_the_most_accurate_is_the_one_on_validation(tmp_path: Path) -> None:
    def with_share(name: str, validation: float, test: float) -> Run:
        shares = (("validation", validation), ("test", test))
        accuracies = tuple(Measurement("accuracy", "share", "higher", v, conditions={"split": s}) for s, v in shares)
        return replace(run(tmp_path, name), measurements=accuracies)

    first, second = with_share("first-01", 0.90, 0.99), with_share("second-01", 0.95, 0.80)
    for runs in ([first, second], [second, first]):
        assert choose(runs, Budgets()).recommended is second
        assert choose(runs, Budgets(min_accuracy=0.92)).recommended is second


def test_too_few_examples_make_a_drop_unproven_not_kept(tmp_path: Path) -> None:
    parent = run(tmp_path, "parent-01", wrong=range(3), n=149)
    equal = run(tmp_path, "equal-01", wrong=range(3), n=149, bytes=10, parent="parent-01")
    choice = choose([parent, equal], Budgets(max_drop=1.0))
    assert choice.recommended is parent and choice.unproven is equal
    reason = choice.why_not["equal-01"][0]
    assert "not shown" in reason and "loses nothing" in reason and "even equal answers need 268 examples" in reason
    assert any("equal-01 would cost less" in sentence for sentence in choice.why)


def test_a_latency_not_measured_alone_is_left_out_with_the_reason(tmp_path: Path) -> None:
    parent = run(tmp_path, "parent-01", ms=2.0)
    noisy = run(tmp_path, "noisy-01", ms=0.1, alone=False, parent="parent-01")
    untimed = run(tmp_path, "untimed-01", ms=None, parent="parent-01")
    choice = choose([parent, noisy, untimed], Budgets(max_latency_ms=5))
    assert choice.recommended is parent
    assert choice.why_not["noisy-01"] == ["its latency was not measured alone, so it is left out"]
    assert choice.why_not["untimed-01"] == ["its latency was not measured"]
    ranked = choose([parent, noisy, untimed], Budgets(max_drop=1))
    assert ranked.recommended is parent and "can't be ranked" in ranked.why_not["noisy-01"][0]


def test_without_any_usable_latency_bytes_alone_decide_and_that_is_said(tmp_path: Path) -> None:
    runs = [run(tmp_path, f"r{size}-01", bytes=size, alone=False) for size in (30, 10, 20)]
    choice = choose(runs, Budgets(min_accuracy=0.5))
    assert choice.recommended is runs[1]
    assert "No latency counts in the ranking: none that can be used was measured." in choice.why


def test_latencies_of_other_conditions_are_not_ranked_together(tmp_path: Path) -> None:
    usual = [run(tmp_path, f"usual{i}-01", ms=1.0) for i in range(2)]
    batched = run(tmp_path, "batched-01", ms=0.1, batch=32)
    elsewhere = run(tmp_path, "elsewhere-01", ms=0.1, cpu="another")
    choice = choose([*usual, batched, elsewhere], Budgets(max_latency_ms=2))
    assert choice.recommended is usual[0]
    assert "batch 32" in choice.why_not["batched-01"][0] and "another" in choice.why_not["elsewhere-01"][0]


def test_latencies_of_two_machines_are_not_ranked_though_their_processors_have_one_name(tmp_path: Path) -> None:
    here = [run(tmp_path, f"here{i}-01", ms=1.0, cpu="AMD EPYC") for i in range(2)]
    made = [run(tmp_path, f"{name}-01", ms=0.1, cpu="AMD EPYC") for name in ("cores", "isa")]
    here = [replace(each, machine={"cpu": "AMD EPYC", "cores": 2, "isa": ["avx2"]}) for each in here]
    more_cores = replace(made[0], machine={"cpu": "AMD EPYC", "cores": 64, "isa": ["avx2"]})
    wider = replace(made[1], machine={"cpu": "AMD EPYC", "cores": 2, "isa": ["avx2", "avx512f"]})
    choice = choose([*here, more_cores, wider], Budgets(max_latency_ms=2))
    assert choice.recommended is here[0]
    assert "64 cores" in choice.why_not["cores-01"][0] and "avx512f" in choice.why_not["isa-01"][0]


def test_each_run_is_held_against_its_own_parent(tmp_path: Path) -> None:
    good, weak = run(tmp_path, "good-01", bytes=900), run(tmp_path, "weak-01", wrong=range(100), bytes=500)
    of_weak = run(tmp_path, "of_weak-01", wrong=range(100), bytes=100, parent="weak-01", steps=PRUNED)
    runs = [good, weak, of_weak]
    assert choose(runs, Budgets(max_drop=1)).recommended is of_weak
    held = choose(runs, Budgets(max_drop=1), baseline="good-01")
    assert held.recommended is good and "loses 10.00 points" in held.why_not["of_weak-01"][0]


def test_a_run_without_a_parent_that_was_not_plainly_trained_needs_a_baseline(tmp_path: Path) -> None:
    """A distilled student, or an untrained pruned model, would otherwise have lost nothing by definition."""
    teacher = run(tmp_path, "teacher-01", wrong=range(10), bytes=1000)
    student = run(tmp_path, "student-01", wrong=range(400), bytes=1, steps=({"use": "distill"},))
    choice = choose([teacher, student], Budgets(max_drop=1))
    assert choice.recommended is teacher and "name a baseline" in choice.why_not["student-01"][0]
    held = choose([teacher, student], Budgets(max_drop=1), baseline="teacher-01")
    assert "loses 39.00 points" in held.why_not["student-01"][0]


def test_a_parent_that_was_not_handed_over_is_found_beside_the_run(tmp_path: Path) -> None:
    run(tmp_path, "parent-01", wrong=range(10))
    made = run(tmp_path, "made-01", wrong=range(50), parent="parent-01", steps=PRUNED)
    assert choose([made], Budgets()).drops["made-01"].value == pytest.approx(4.0)
    orphan = run(tmp_path, "orphan-01", parent="gone-01", steps=PRUNED)
    reasons = choose([orphan], Budgets(max_drop=1)).why_not["orphan-01"]
    assert reasons == ["its drop can't be judged: gone-01 kept no samples/predictions.npz"]


def test_ties_go_to_fewer_bytes_then_to_the_more_accurate_then_by_name(tmp_path: Path) -> None:
    square = run(tmp_path, "square-01", bytes=4, ms=4.0)
    flat = run(tmp_path, "flat-01", bytes=2, ms=8.0, wrong=range(5))
    twin_b, twin_a = run(tmp_path, "twin_b-01", bytes=2, ms=8.0), run(tmp_path, "twin_a-01", bytes=2, ms=8.0)
    runs = [square, flat, twin_b, twin_a]
    for order in (runs, runs[::-1]):
        choice = choose(order, Budgets(min_accuracy=0.9))
        assert choice.recommended is twin_a
        assert "ties with twin_a-01" in choice.why_not["twin_b-01"][0]
        assert "has fewer bytes" in choice.why_not["square-01"][0]
        assert "more accurate" in choice.why_not["flat-01"][0]


def test_failed_runs_say_how_they_ended(tmp_path: Path) -> None:
    good = run(tmp_path, "good-01")
    failed = run(tmp_path, "failed-01", status="failed", data="", error={"message": "out of memory"})
    assert choose([good, failed], Budgets()).why_not == {"failed-01": ["it is failed: out of memory"]}


def test_damaged_predictions_are_a_reason_not_a_crash(tmp_path: Path) -> None:
    parent = run(tmp_path, "parent-01")
    broken = run(tmp_path, "broken-01", parent="parent-01", steps=PRUNED)
    (Path(broken.folder) / "samples" / "predictions.npz").write_bytes(b"PK\x03\x04 half")
    assert "can't be read" in choose([parent, broken], Budgets(max_drop=1)).why_not["broken-01"][0]


def test_language_models_are_held_by_their_perplexity(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nll = random.gamma(4.0, 0.5, (60, 32))
    parent = text_run(tmp_path, "parent-01", nll)
    near = text_run(tmp_path, "near-01", nll + random.normal(0.002, 0.01, nll.shape), parent="parent-01", bytes=100)
    far = text_run(tmp_path, "far-01", nll + 0.1, parent="parent-01", bytes=10)
    choice = choose([parent, near, far], Budgets(max_drop=1.0))
    assert choice.recommended is near
    assert "loses 10.52 % of perplexity" in choice.why_not["far-01"][0]
    assert any("perplexity" in sentence and "Test" in sentence for sentence in choice.why)


def test_runs_on_other_data_or_none_at_all_are_refused(tmp_path: Path) -> None:
    one, other = run(tmp_path, "one-01"), run(tmp_path, "other-01", data="d1")
    with pytest.raises(InvalidInput, match="2 data sets"):
        choose([one, other], Budgets())
    with pytest.raises(InvalidInput, match="no runs"):
        choose([], Budgets())
    with pytest.raises(InvalidInput, match="'nobody-01' is not among"):
        choose([one], Budgets(), baseline="nobody-01")


def test_budgets_out_of_bounds_are_refused_all_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        Budgets(max_bytes=-1, max_drop=float("nan"), min_accuracy=95)
    assert len(caught.value.problems) == 3


def test_a_choice_is_plain_values(runs: list[Run]) -> None:
    import json

    record = json.loads(json.dumps(choose(runs, Budgets(max_drop=1.0)).to_json()))
    assert record["recommended"] == "small-01" and record["drops"]["worse-01"]["unit"] == "points"


def test_every_run_that_fits_is_named_best_first(runs: list[Run]) -> None:
    choice = choose(runs, Budgets(max_drop=1.0))
    assert choice.fitting == ("small-01", "same-01", "parent-01") and not choice.not_shown
    untimed = replace(runs[1], measurements=tuple(m for m in runs[1].measurements if m.name != "latency_ms_p50"))
    assert choose([runs[0], untimed], Budgets(max_drop=1.0)).fitting == ("parent-01", "same-01"), "it fits, unranked"


def test_choosing_again_reads_nothing_again(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A slider asks many times a second: answers are read once per run."""
    choose(runs, Budgets(max_drop=1.0))
    monkeypatch.setattr(np, "load", lambda *_: pytest.fail("read again"))
    choose(runs, Budgets(max_drop=2.0))
