"""The workbench in a real JupyterLab, used as a person uses it: explore, run, compare, lose the page, come back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_page import command, wait_for_kernel
from large_models import plan_and_shrink
from own_lab import Lab, running_lab, running_voila
from playwright.sync_api import Page, expect
from workbench_page import (
    CHART,
    NOTEBOOK,
    ROOT,
    open_workbench,
    picture,
    plain_training,
    run_button,
    start,
    store_of,
    tab,
    train_for,
    wait_until,
)

from workbench.bench import carry_out
from workbench.job import Job
from workbench.shrink import synthetic
from workbench.store import Store

METRICS = [{"use": "size"}, {"use": "quality"}, {"use": "latency", "pairs": 6, "restarts": 1, "singles": 30}]
TRAIN = {"use": "train", "epochs": 2}
PARAMETERS = {"epochs": 2, "fine_tune_epochs": 1, "model": "lenet_300_100", "metrics": METRICS}
POINTS = f"""() => document.querySelector('{CHART}').data
  .flatMap(trace => [...(trace.customdata ?? [])]).filter(id => typeof id === 'string')"""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all of these; its store holds the first recipes of the notebook already."""
    folder = tmp_path_factory.mktemp("lab")
    with running_lab(folder) as lab:
        _write_notebook(lab.root / NOTEBOOK)
        store = Store(folder / "runs")
        for steps in ([], [{"use": "magnitude_prune", "sparsity": 0.8}], [{"use": "int8_static"}]):
            record = {"model": "lenet_300_100", "data": "digits", "steps": [TRAIN, *steps], "metrics": METRICS}
            assert carry_out(Job.from_json(record), store).status == "done"
        yield lab


def _write_notebook(path: Path) -> None:
    """Write the notebook as a person would who changes its parameters, and takes out the runs to begin with."""
    record = json.loads((ROOT / "notebooks" / NOTEBOOK).read_text())
    for cell in record["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = [*cell["source"], *(f"\n{name} = {value!r}" for name, value in PARAMETERS.items())]
        if cell["id"] == "begin":
            cell["source"] = [line for line in cell["source"] if not line.startswith("begin(")]
    path.write_text(json.dumps(record))


def test_a_person_explores_runs_and_compares(
    page: Page, place: Lab, outside_requests: list[str], tmp_path: Path
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_workbench(page, place)
    before = set(page.evaluate(POINTS))
    assert len([point for point in before if not point.startswith("estimate")]) == 3

    # a recipe: channels and int8; the estimate answers before anything runs
    page.locator(".wb-presets button", has_text="channels 50 % + int8").click()
    expect(page.locator(".wb-build-recipe .wb-step")).to_have_count(4, timeout=30_000)
    expect(page.locator(".wb-step-int8_static .wb-estimate")).to_contain_text("kB", timeout=30_000)
    page.wait_for_function(f"() => ({POINTS})().some(id => id.startsWith('estimate'))")
    picture(page, "1-recipe")

    # run it: progress, then the measured point
    expect(run_button(page)).to_be_enabled(timeout=30_000)
    run_button(page).click()
    card = page.locator(".wb-run-card").first
    expect(card).to_be_visible(timeout=30_000)
    page.wait_for_function(
        "() => /running|steps|done/.test(document.querySelector('.wb-run-card')?.innerText ?? '')", timeout=60_000
    )
    picture(page, "2-running")
    page.wait_for_function(f"() => ({POINTS})().filter(id => !id.startsWith('estimate')).length === 4", timeout=240_000)
    new = next(iter({point for point in page.evaluate(POINTS) if not point.startswith("estimate")} - before))
    run = store_of(place).get(new)
    drawn = page.evaluate(
        f"""id => document.querySelector('{CHART}')._fullData.flatMap(trace => [...(trace.customdata ?? [])]
        .map((each, index) => [each, trace.x[index]])).find(pair => pair[0] === id)[1]""", new,
    )  # fmt: skip
    assert drawn == run.get("artifact_bytes").value

    # budgets: the recommendation follows
    advice = page.locator(".wb-choice")
    said = advice.inner_text()
    smallest = min(each.get("artifact_bytes").value for each in store_of(place).runs())
    limit = page.locator(".wb-budget-max_bytes")
    limit.locator("input[type=checkbox]").uncheck()
    readout = limit.locator(".widget-readout")
    readout.click()
    page.keyboard.press("Control+A")
    page.keyboard.type(f"{smallest * 1.02 / 1000:.1f}")
    page.keyboard.press("Enter")
    page.wait_for_function("said => document.querySelector('.wb-choice').innerText !== said", arg=said)
    expect(advice).to_contain_text("1 of 4 fit")
    picture(page, "3-budgets")

    # click the new point, as plotly tells it; then compare it with its parent
    page.evaluate(
        f"""id => {{ const gd = document.querySelector('{CHART}');
        const curve = gd.data.findIndex(trace => [...(trace.customdata ?? [])].includes(id));
        const index = [...gd.data[curve].customdata].indexOf(id);
        gd.emit('plotly_click', {{points: [{{data: gd.data[curve], fullData: gd._fullData[curve], curveNumber: curve,
          pointIndex: index, pointNumber: index, customdata: id, x: gd._fullData[curve].x[index], y: gd._fullData[curve].y[index]}}]}}); }}""", new,
    )  # fmt: skip
    tab(page, "Compare")
    compared = page.locator(".wb-compare-runs")
    expect(compared).to_contain_text("artifact", timeout=60_000)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.wb-compare-runs .js-plotly-plot')].some(gd => gd.data?.length)",
        timeout=60_000,
    )
    picture(page, "4-compare")

    tab(page, "Examples")
    expect(page.locator(".wb-examples")).to_contain_text("answers", timeout=60_000)
    picture(page, "5-examples")

    tab(page, "Copy as")
    text = page.locator(".wb-take-away textarea")
    page.wait_for_function("() => document.querySelector('.wb-take-away textarea')?.value.includes('carry_out')")
    assert "int8_static" in text.input_value()
    picture(page, "6-copy")

    # models past this machine, on the same page
    source = synthetic.llama(tmp_path / "in", layers=2, width=256, vocabulary=256)
    plan_and_shrink(page, source, tmp_path / "out")
    assert errors == [] and outside_requests == []


def test_a_bad_value_is_told_beside_its_control_and_cancel_works_at_once(
    page: Page, place: Lab, outside_requests: list[str]
) -> None:
    open_workbench(page, place)
    epochs = plain_training(page)
    epochs.fill("0")
    epochs.press("Tab")
    expect(page.locator(".wb-step-train [role=alert]").first).to_contain_text("1 ≤ epochs", timeout=30_000)
    expect(run_button(page)).to_be_disabled(timeout=30_000)
    card = train_for(page, 9000)
    card.locator("button", has_text="Cancel").click()
    expect(card).to_contain_text("cancelled", timeout=30_000)
    picture(page, "7-cancelled")
    assert outside_requests == []


def test_a_reload_and_a_restarted_kernel_lose_nothing(page: Page, place: Lab, outside_requests: list[str]) -> None:
    open_workbench(page, place)
    card = train_for(page, 8000)

    command(page, "docmanager:save")
    page.reload()
    wait_for_kernel(page)
    page.wait_for_function(f"() => document.querySelector('{CHART}')?.data?.length", timeout=120_000)
    expect(page.locator(".wb-run-card", has_text="8000").first).to_contain_text("running", timeout=60_000)

    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    wait_for_kernel(page)
    said = "() => getComputedStyle(document.querySelector('.wb-workbench'), '::before').content"
    page.wait_for_function(f"() => /run all cells/.test(({said})())")
    start(page)
    card = page.locator(".wb-run-card", has_text="8000").first
    expect(card).to_contain_text("running", timeout=120_000)
    expect(page.locator(".wb-step-train .wb-param-epochs input").last).to_have_value("8000")
    card.locator("button", has_text="Cancel").click()
    expect(card).to_contain_text("cancelled", timeout=30_000)
    assert outside_requests == []


def test_a_killed_worker_shows_its_cause_and_the_rest_stays_usable(page: Page, place: Lab) -> None:
    open_workbench(page, place)
    card = train_for(page, 7000)
    store = store_of(place)
    wait_until(
        lambda: any(_owner(run) for run in store.drafts() if run.status == "running"), 60, "a worker owning its draft"
    )
    os.kill(next(_owner(run) for run in store.drafts() if run.status == "running"), signal.SIGKILL)
    expect(card).to_contain_text("killed by signal SIGKILL", timeout=60_000)
    picture(page, "8-killed")
    page.locator(".wb-presets button", has_text="int8").first.click()
    expect(page.locator(".wb-step-int8_static .wb-estimate")).to_contain_text("kB", timeout=30_000)


def test_the_dark_theme_and_a_narrow_window_stay_readable(page: Page, place: Lab, outside_requests: list[str]) -> None:
    open_workbench(page, place)
    ink = f"() => getComputedStyle(document.querySelector('{CHART} .xtitle')).fill"
    light = page.evaluate(ink)
    command(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_function(f"light => ({ink})() !== light", arg=light)
    picture(page, "9-dark")
    page.set_viewport_size({"width": 900, "height": 1300})
    page.wait_for_function(
        "() => { const box = document.querySelector('.wb-workbench'); return box.scrollWidth <= box.clientWidth + 1; }"
    )
    picture(page, "10-narrow")
    command(page, "apputils:change-theme", theme="JupyterLab Light")
    assert outside_requests == []


def test_the_same_notebook_is_an_app_in_voila(
    page: Page, place: Lab, outside_requests: list[str], tmp_path: Path
) -> None:
    with running_voila(tmp_path, place.root / NOTEBOOK) as address:
        page.set_viewport_size({"width": 1400, "height": 1300})
        page.goto(address)
        page.wait_for_function(f"() => document.querySelector('{CHART}')?.data?.length", timeout=180_000)
        page.locator(".wb-presets button", has_text="int8").first.click()
        expect(page.locator(".wb-step-int8_static .wb-estimate")).to_contain_text("kB", timeout=60_000)
        picture(page, "11-voila")
    assert outside_requests == []


def _owner(run: Any) -> int | None:
    """Return the worker's process of a draft, None until it has taken it."""
    path = Path(run.folder) / "owner.json"
    return json.loads(path.read_text())["pid"] if path.exists() else None


def test_a_run_is_served_asked_and_loaded_from_its_tab(page: Page, place: Lab, outside_requests: list[str]) -> None:
    open_workbench(page, place)
    page.set_default_timeout(30_000)
    tab(page, "Serve")
    panel = page.locator(".wb-serve")
    panel.locator("button", has_text="Serve").click()
    expect(panel).to_contain_text("✓ serving", timeout=120_000)
    panel.locator("button", has_text="Ask").click()
    expect(panel.locator(".wb-served")).to_contain_text("%", timeout=30_000)
    panel.locator("summary", has_text="curl").click()
    expect(panel.locator("pre").first).to_contain_text("/infer")
    picture(page, "9-serve")
    panel.locator("button", has_text="Load test").click()
    page.wait_for_function(
        "() => document.querySelector('.wb-serve .js-plotly-plot')?.data?.[0]?.x?.length >= 2", timeout=120_000
    )
    panel.locator("button", has_text="Stop the test").click()
    expect(panel).to_contain_text("kept up with", timeout=30_000)
    panel.locator(".js-plotly-plot").scroll_into_view_if_needed()
    picture(page, "10-load")
    panel.locator("button", has_text="Stop").first.click()
    expect(panel).to_contain_text("Nothing is served", timeout=60_000)
    assert outside_requests == []
