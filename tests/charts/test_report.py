"""The report is one file that asks nothing of the network, names every run, and says only what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from crafted_runs import crafted_run, with_predictions

from tests.compare.test_fastest import in_format
from workbench.compare import Budgets
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Run
from workbench.report import write_report

TRAIN = {"use": "train", "epochs": 20}
PRUNE = {"use": "magnitude_prune", "sparsity": 0.8}
INT8 = {"use": "int8_dynamic"}


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """As trained, int8, pruned with zeros, one failed and one lost run of LeNet-5; 900 answers, of which few changed."""
    targets = np.arange(900) % 10
    flipped = targets.copy()
    flipped[:3] = (flipped[:3] + 1) % 10
    base = crafted_run(
        "lenet_5-base000000-01", steps=(TRAIN,), folder=with_predictions(tmp_path / "a", targets, targets)
    )
    own = {"parent": base.run_id}
    int8 = crafted_run("lenet_5-int8000000-01", steps=(TRAIN, INT8), size=70_000, p50=0.03, ratio=(0.6, 0.55, 0.65),
                       dense_bytes=60_000, folder=with_predictions(tmp_path / "b", flipped, targets), **own)  # fmt: skip
    zeros = crafted_run("lenet_5-zeros00000-01", steps=(TRAIN, PRUNE), nonzero_params=12_000, zipped_bytes=60_000,
                        ratio=(1.01, 0.97, 1.04), folder=with_predictions(tmp_path / "c", targets, targets), **own)  # fmt: skip
    return [
        base, int8, zeros,
        crafted_run("lenet_5-failed0000-01", steps=(TRAIN, INT8, INT8), status="failed", **own),
        crafted_run("lenet_5-lost000000-01", steps=(TRAIN, PRUNE, INT8), status="lost", **own),
    ]  # fmt: skip


def written(runs: list[Run], folder: Path, **options: object) -> str:
    return write_report(runs, folder / "out" / "report.html", **options).read_text(encoding="utf-8")  # type: ignore[arg-type]


def without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_the_page_asks_nothing_of_the_network(runs: list[Run], tmp_path: Path) -> None:
    page = written(runs, tmp_path)
    ours = without_scripts(page)  # plotly.js names map servers; the policy below keeps it from reaching any
    assert not re.findall(r"https?:|//[a-z]", re.sub(r"data:image/png;base64,[^\"]+|\"bdata\":\"[^\"]+\"", "", ours))
    assert "default-src 'none'" in page and "<link" not in page
    assert not re.search(r"<script[^>]*\ssrc=", page)
    assert page.count("plotly.js v") == 1 and len(page) < 6_000_000


def test_every_run_is_named_and_the_unfinished_with_their_cause(runs: list[Run], tmp_path: Path) -> None:
    page = without_scripts(written(runs, tmp_path))
    for run in runs:
        assert f'<tr id="run-{run.run_id}"' in page
    assert "raised: no space &lt;left&gt; here" in page and "free some" in page
    assert "✕ failed" in page and "? lost" in page
    assert "no space <left>" not in page


def test_the_table_reads_without_script_and_shows_validation_and_test(runs: list[Run], tmp_path: Path) -> None:
    page = without_scripts(written(runs, tmp_path))
    table = page[page.index('id="runs-table"') : page.index('id="unfinished"')]
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)', table)
    assert {"Validation", "Test", "Latency / parent", "Seed"} <= set(heads)
    assert table.count("<tr id=") == len(runs)
    assert "0.600<small>[0.55, 0.65]<br>faster</small>" in table
    assert "n = 149 on validation" in page and "n = 900 on test" in page and "threads 1, batch 1" in page


def test_the_sentence_on_zeros_is_made_of_the_measured_figures(runs: list[Run], tmp_path: Path) -> None:
    page = without_scripts(written(runs, tmp_path))
    told = re.sub(r"<[^>]+>", "", page[page.index('id="zeros"') : page.index('id="conditions"')])
    assert "80% of 60,000 parameters are zero, and the files have 250,000 bytes, exactly as before" in told
    assert "in 4 bytes (240,000 in all)" in told and "60,000 bytes against 220,000" in told
    assert "1.010 [0.97, 1.04]" in told and "cannot be told apart" in told
    assert "int8 dynamic" not in told


def test_the_sentence_on_zeros_follows_the_figures_when_they_say_otherwise(runs: list[Run], tmp_path: Path) -> None:
    base, _, zeros, *_ = runs
    grown = tuple(
        replace(each, value=300_000.0) if each.name == "artifact_bytes"
        else replace(each, value=1.2, lo=1.1, hi=1.3) if each.name == "latency_ratio_to_parent" else each
        for each in zeros.measurements
    )  # fmt: skip
    page = without_scripts(written([base, replace(zeros, measurements=grown)], tmp_path))
    told = page[page.index('id="zeros"') : page.index('id="conditions"')]
    assert "300,000 bytes, against 250,000, +20.00%" in told and "something besides the zeros" in told
    assert "slower, but not through zeros" in told and "exactly as before" not in told


def test_no_sparse_run_means_no_section_on_zeros(runs: list[Run], tmp_path: Path) -> None:
    assert 'id="zeros"' not in written(runs[:2], tmp_path)


def test_what_flipped_shows_pictures_and_both_probabilities(runs: list[Run], tmp_path: Path) -> None:
    page = without_scripts(written(runs, tmp_path, budgets=Budgets(max_drop=5)))
    told = page[page.index('id="flipped"') : page.index('id="zeros"')]
    assert "3 of 900 test answers changed: <b>3</b> broken" in told
    assert told.count('<img src="data:image/png;base64,') == 3 and told.count('alt="test example') == 3
    assert "0 (86%)<br>→ 1 (86%)" in told and "Right class: 86% → 2%" in told


def test_the_recommendation_says_whether_it_is_shown(runs: list[Run], tmp_path: Path) -> None:
    few = [replace(run, folder="") for run in runs[:1]]
    page = without_scripts(written(runs, tmp_path, budgets=Budgets(max_drop=5)))
    assert 'int8 dynamic</b> <span class="chip good">✓ shown to fit the budgets' in page
    assert "3.6 × smaller" in page and "drop ≤ 5 points" in page
    assert "no run fits" in without_scripts(written(few, tmp_path, budgets=Budgets(max_bytes=1)))


def test_a_test_split_that_contradicts_the_recommendation_is_said(runs: list[Run], tmp_path: Path) -> None:
    """30 of 900 broken on test only: validation shows no drop, and the reader is told of both."""
    base, int8, *_ = runs
    file = Path(int8.folder) / "samples" / "predictions.npz"
    with np.load(file) as kept:
        arrays = dict(kept)
    right = np.eye(10, dtype=np.float32)[arrays["test_targets"]]
    broken = right.copy()
    broken[:30] = np.roll(broken[:30], 1, axis=1)
    np.savez(file, **{**arrays, "validation_outputs": right, "test_outputs": broken})
    page = without_scripts(written([base, int8], tmp_path))
    assert "✓ shown to fit the budgets" in page
    assert "! on test it loses 3.33 points, more than the budget" in page
    assert "−3.33 [" in page and "points against as trained" in page


def test_a_control_is_held_against_its_run_on_the_same_examples(runs: list[Run], tmp_path: Path) -> None:
    base, int8, *_ = runs
    with np.load(Path(int8.folder) / "samples" / "predictions.npz") as kept:
        worse = np.roll(kept["test_outputs"], 1, axis=1)
    np.savez(Path(int8.folder) / "samples" / "controls.npz", student_alone_test_outputs=worse)
    page = without_scripts(written([base, replace(int8, controls={"student_alone": {}})], tmp_path))
    told = page[page.index('id="controls"') : page.index('id="conditions"')]
    assert "student alone" in told and "the run is better" in told and "99.7%, 0.0%" in told
    assert "not kept" in told, "validation of the control is missing, and said to be"


def test_a_language_model_is_reported_by_its_perplexity(runs: list[Run], tmp_path: Path) -> None:
    texts = [
        replace(
            run,
            measurements=tuple(
                replace(each, name="perplexity", unit="1", better="lower", value=7.5, lo=7.0, hi=8.0)
                if each.name == "accuracy" else each
                for each in run.measurements if each.name != "f1_macro"
            ),
        )
        for run in runs[:2]
    ]  # fmt: skip
    page = without_scripts(written(texts, tmp_path))
    assert "perplexity 7.5 [7, 8], n = 900" in page and "perplexity, validation" in page


def test_what_was_not_measured_is_said_where_its_chart_would_be(runs: list[Run], tmp_path: Path) -> None:
    page = without_scripts(written([crafted_run("lenet_5-quick00000-01", p50=None)], tmp_path))
    assert "Nothing to draw: no run has a measured" in page and "Latency: not measured" in page


def test_labels_of_a_study_name_models_and_recipes(runs: list[Run], tmp_path: Path) -> None:
    labels = {run.job_id: SimpleNamespace(model="LeNet & Co", recipe=f"recipe {i}") for i, run in enumerate(runs)}
    page = without_scripts(written(runs, tmp_path, labels=labels))
    assert "LeNet &amp; Co" in page and "<b>recipe 1</b>" in page


def test_every_chart_has_words_and_numbers_that_json_knows(runs: list[Run], tmp_path: Path) -> None:
    page = written(runs, tmp_path)
    plots = re.findall(r'<div class="plot" role="img" aria-label="([^"]*)"', page)
    assert plots and all(len(words) > 40 for words in plots)
    figures = re.findall(r'<script type="application/json" class="variant"[^>]*>(.*?)</script>', page, flags=re.DOTALL)
    assert len(figures) >= 7
    for text in figures:
        assert "NaN" not in text
        json.loads(text)


def test_the_page_is_well_formed(runs: list[Run], tmp_path: Path) -> None:
    class Balance(HTMLParser):
        open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br", "img", "input"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
            self.open.pop()

    checker = Balance()
    checker.feed(without_scripts(written(runs, tmp_path)))
    assert not checker.open


def test_conditions_state_machine_versions_and_seeds(runs: list[Run], tmp_path: Path) -> None:
    page = without_scripts(written(runs, tmp_path))
    told = page[page.index('id="conditions"') :]
    for words in ("Example CPU, 2 cores (avx2)", "onnxruntime 1.32.0", "digits", "3 of 3 runs timed alone"):
        assert words in told


def test_only_failed_runs_still_make_a_page(runs: list[Run], tmp_path: Path) -> None:
    page = without_scripts(written(runs[3:], tmp_path))
    assert "no run has a measured" in page and "✕ failed" in page


def test_no_runs_and_an_unwritable_place_are_said(runs: list[Run], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no runs to report"):
        write_report([], tmp_path / "report.html")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkbenchError, match="can't be written"):
        write_report(runs, tmp_path / "file" / "report.html")


def test_of_a_recipe_in_several_formats_the_fastest_is_named(tmp_path: Path) -> None:
    first = in_format(tmp_path, "coded", 1.5)
    both = [
        replace(each, job={**each.job, "model": {"use": "lenet_5"}, "data": {"use": "digits"}})
        for each in (first, in_format(tmp_path, "openvino", 0.5))
    ]
    page = without_scripts(written(both, tmp_path))
    assert "The fastest format" in page and "openvino is the fastest of 2 formats" in page
    assert "The fastest format" not in without_scripts(written(both[:1], tmp_path))
