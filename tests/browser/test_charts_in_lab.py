"""Charts in a real page: drawn with data, heard by Python, still there after a reload, in every theme and size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import plotly.graph_objects as go
import pytest
from lab_page import CELLS_WITH_ERRORS, command, open_notebook, run_all, run_cells, wait_for_kernel
from nbformat import v4
from own_lab import Lab, running_voila
from playwright.sync_api import Locator, Page, expect

from workbench.batch.page import write_page
from workbench.charts import _style

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
NUM_CHARTS, MOST_BYTES = 10, 6_000_000

SETUP = f"""
import ipywidgets, numpy, plotly.graph_objects as go
from widgets.chart_host import Chart
from workbench.charts import _style
said = ipywidgets.Label("nothing").add_class("said")
again, shift, back = (ipywidgets.Button(description=name).add_class(name) for name in ("again", "shift", "back"))

def squares(number):
    marks = go.Scatter(x=numpy.arange(10.0) + number, y=numpy.arange(10.0) ** 2, mode="markers",
                       customdata=[f"run-{{each}}" for each in range(10)], uid="squares",
                       marker={{"color": _style.INK, "size": 12}})
    axes = {{"xaxis": {{"title": "number"}}, "yaxis": {{"title": "square"}}}}
    return _style.finish(go.Figure(marks), alt=f"squares {{number}}", **axes)

charts = [Chart() for _ in range({NUM_CHARTS})]
for number, chart in enumerate(charts):
    chart.show(squares(number))
charts[0].on_click(lambda run_id: setattr(said, "value", f"clicked {{run_id}}"))
charts[0].on_select(lambda run_ids: setattr(said, "value", f"selected {{len(run_ids)}}"))
again.on_click(lambda _: charts[0].show(squares(50)))
shift.on_click(lambda _: charts[0].move([{{"uid": "squares", "x": numpy.arange(10.0) ** 2 + 7}}]))
back.on_click(lambda _: charts[0].show(squares(0)))
ipywidgets.VBox([said, again, shift, back])"""
CELLS = [SETUP, "charts[0]", "ipywidgets.Tab(charts[1:3], titles=['one', 'two'])", "ipywidgets.HBox(charts[3:5])",
         "ipywidgets.VBox(charts[5:])", "from widgets.static_view import renderer\nrenderer()\nsquares(99)"]  # fmt: skip

UPLOAD = ".modebar-btn[data-title^='Share'], .modebar-btn[aria-label^='Share']"  # plotly's, to its makers' cloud
FIRST_X = "element => element._fullData?.[0]?.x?.[0]"
# anywidget's two seconds for a module are over at once, as on a page that is busy for longer.
TOO_BUSY = """const real = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (ms) => (ms === 2000 ? { addEventListener: (_, act) => act() } : real(ms));"""
SIZE = "element => [element.querySelector('svg.main-svg').clientWidth, element.clientWidth]"


def write_notebook(path: Path, sources: list[str]) -> None:
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(each) for each in sources], metadata=PYTHON), path)


def plot(page: Page, number: int) -> Locator:
    """Return where chart `number` is drawn, by what it says to a screen reader."""
    return page.locator(f".wb-chart[aria-label^='squares {number} '] .wb-chart-plot").first


def wait_until_drawn(page: Page, *numbers: int) -> None:
    for number in numbers:
        expect(plot(page, number).locator("path.point")).to_have_count(10, timeout=60_000)
        assert plot(page, number).evaluate(FIRST_X) == number


def said(page: Page) -> Locator:
    return page.locator(".said").first


def point(page: Page, number: int, which: int) -> tuple[float, float]:
    """Return where on the screen a point is, its chart scrolled into sight."""
    plot(page, number).scroll_into_view_if_needed()
    box = plot(page, number).locator("path.point").nth(which).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.fixture
def received(page: Page) -> Callable[[], int]:
    """Return how many bytes came through websockets so far."""
    sizes: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda payload: sizes.append(len(payload))))
    return lambda: sum(sizes)


@pytest.fixture
def broken(page: Page) -> list[str]:
    """Return what went wrong in the page."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


@pytest.mark.slow
def test_charts_are_drawn_heard_and_follow_the_page(
    page: Page, lab: Lab, outside_requests: list[str], received: Callable[[], int], broken: list[str], output_path: str
) -> None:
    write_notebook(lab.root / "charts.ipynb", CELLS)
    open_notebook(page, lab, "charts.ipynb")
    page.evaluate("() => { window.define = Object.assign(() => {}, {amd: {}}) }")  # as where require.js is on the page
    run_cells(page)
    assert page.evaluate(CELLS_WITH_ERRORS) == []
    wait_until_drawn(page, 0, 1, *range(3, NUM_CHARTS))
    assert received() < MOST_BYTES, "plotly.js came more than once"
    page.screenshot(path=f"{output_path}/charts-light.png")

    _move_some(page)
    page.click(".back")
    page.wait_for_function(f"e => ({FIRST_X})(e) === 0", arg=_handle(page, 0))
    page.mouse.click(*point(page, 0, 3))
    expect(said(page)).to_have_text("clicked run-3")
    expect(page.locator(UPLOAD)).to_have_count(0)
    _select_some(page)
    expect(said(page)).to_have_text("selected 3")
    _visit_with_keys(page)
    expect(said(page)).to_have_text("clicked run-2")

    _move_some(page)
    page.get_by_role("tab", name="two").click()
    wait_until_drawn(page, 2)  # hidden until now

    page.set_viewport_size({"width": 900, "height": 700})
    page.wait_for_function(f"e => {{ const [svg, own] = ({SIZE})(e); return svg === own }}", arg=_handle(page, 0))
    _dark_theme(page)
    page.screenshot(path=f"{output_path}/charts-dark.png")
    page.click(".again")
    page.wait_for_function(f"e => ({FIRST_X})(e) === 50", arg=_handle(page, 50))
    assert broken == [] and outside_requests == []


@pytest.mark.slow
def test_a_page_too_busy_for_anywidget_still_hears_the_kernel(page: Page, lab: Lab) -> None:
    page.add_init_script(TOO_BUSY)
    rows = "from widgets.table_view import Column, TableView; table = TableView(); " \
           "table.show([{'run_id': 'one'}], [Column('run_id', 'run')]); table.view"  # fmt: skip
    write_notebook(lab.root / "busy.ipynb", [SETUP, "charts[0]", rows])
    open_notebook(page, lab, "busy.ipynb")
    run_cells(page)
    wait_until_drawn(page, 0)
    expect(page.locator(".wb-table-count")).to_have_text("1 runs")
    page.mouse.click(*point(page, 0, 3))
    expect(said(page)).to_have_text("clicked run-3")
    page.click(".again")
    page.wait_for_function(f"e => ({FIRST_X})(e) === 50", arg=_handle(page, 50))


def _move_some(page: Page) -> None:
    fifth = plot(page, 0).locator("path.point").nth(4)
    before = fifth.get_attribute("transform")
    page.click(".shift")
    expect(fifth).not_to_have_attribute("transform", str(before))
    assert plot(page, 0).evaluate(FIRST_X) == 7


def _handle(page: Page, number: int):  # noqa: ANN202
    return plot(page, number).element_handle()


def _select_some(page: Page) -> None:
    """Drag a box around the points 4 to 6."""
    plot(page, 0).scroll_into_view_if_needed()
    plot(page, 0).hover()
    plot(page, 0).get_by_role("button", name="Box Select").click()
    (left, bottom), (right, top) = point(page, 0, 4), point(page, 0, 6)
    page.mouse.move(left - 15, top - 15)
    page.mouse.down()
    page.mouse.move(right + 15, bottom + 15, steps=5)
    page.mouse.up()


def _visit_with_keys(page: Page) -> None:
    page.locator(".wb-chart").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".wb-chart-said").first).to_have_text("2, 4")
    page.keyboard.press("Enter")


def _dark_theme(page: Page) -> None:
    def colours() -> list[str]:
        drawn = "e => [e.querySelector('.xtick text').style.fill, e.querySelector('path.point').style.fill]"
        return plot(page, 0).evaluate(drawn)

    light = colours()
    command(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    expect(plot(page, 0).locator("path.point").first).to_have_css("fill", "rgb(230, 230, 230)")
    assert all(dark != before for dark, before in zip(colours(), light))
    value = page.locator(".jp-RenderedPlotly")  # of a cell, drawn by plotly's own extension
    for ink in ("path.point", ".xtick text", ".ytitle"):
        expect(value.locator(ink).first).to_have_css("fill", "rgb(230, 230, 230)")
    expect(value.locator(".main-svg").first).to_have_css("background-color", "rgba(0, 0, 0, 0)")


@pytest.mark.slow
def test_charts_come_back_after_a_reload_in_another_view_and_after_a_restart(
    page: Page, lab: Lab, outside_requests: list[str], broken: list[str]
) -> None:
    write_notebook(lab.root / "charts.ipynb", CELLS[:2])
    run_all(page, lab, "charts.ipynb")
    wait_until_drawn(page, 0)
    command(page, "docmanager:save")

    page.reload()
    wait_for_kernel(page)
    wait_until_drawn(page, 0)
    page.mouse.click(*point(page, 0, 3))
    expect(said(page)).to_have_text("clicked run-3")

    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1 }")
    command(page, "notebook:create-output-view")
    expect(page.locator(".wb-chart path.point")).to_have_count(20, timeout=60_000)

    page.evaluate("() => window.jupyterapp.shell.activateById(window.jupyterapp.shell.widgets('main').next().value.id)")
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.restartKernel() }")
    wait_for_kernel(page)
    run_cells(page)
    wait_until_drawn(page, 0)
    page.mouse.click(*point(page, 0, 4))
    expect(said(page)).to_have_text("clicked run-4")
    assert broken == [] and outside_requests == []


@pytest.mark.slow
def test_voila_shows_the_same_charts(page: Page, tmp_path: Path, outside_requests: list[str], output_path: str) -> None:
    write_notebook(tmp_path / "charts.ipynb", CELLS[:3])
    with running_voila(tmp_path, tmp_path / "charts.ipynb") as address:
        page.goto(address, timeout=60_000)
        wait_until_drawn(page, 0, 1)
        page.mouse.click(*point(page, 0, 3))
        expect(said(page)).to_have_text("clicked run-3")
        page.screenshot(path=f"{output_path}/charts-voila.png")
    assert outside_requests == []


def test_an_exported_page_has_live_charts_and_asks_nobody(
    page: Page, tmp_path: Path, outside_requests: list[str], broken: list[str], output_path: str
) -> None:
    figure = _style.finish(go.Figure(go.Scatter(x=[1, 2], y=[3, 4], mode="markers")), alt="two points")
    bundles = [{"application/vnd.plotly.v1+json": json.loads(figure.to_json())} for _ in range(2)]
    bundles += [{"application/vnd.jupyter.widget-view+json": {"model_id": "gone"}}]
    cell = v4.new_code_cell("figures", outputs=[v4.new_output("display_data", data=each) for each in bundles])
    nbformat.write(v4.new_notebook(cells=[cell], metadata=PYTHON), tmp_path / "done.ipynb")
    page.goto(write_page(tmp_path / "done.ipynb", tmp_path / "done.html").as_uri())
    expect(page.locator("[aria-label='two points'] path.point")).to_have_count(4)
    page.locator("path.point").first.hover(force=True)
    expect(page.locator(".hovertext").first).to_contain_text("(1, 3)")
    expect(page.locator(UPLOAD)).to_have_count(0)
    expect(page.get_by_text("open the notebook to use it")).to_be_visible()
    page.screenshot(path=f"{output_path}/charts-page.png")
    assert broken == [] and outside_requests == []
