"""Writes an executed notebook as one HTML page that works from disk: charts stay live, and nothing is asked of the network.

What nbconvert leaves open is closed here: it drops plotly's charts, and its pages ask other people's servers for
libraries. The content policy of the page forbids every request, so that no library's built-in address is ever used.
"""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from nbformat import NotebookNode

CHART, WIDGET = "application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
HEAD = '<meta charset="utf-8"/>'
CONTROL = "<p><em>Here is a control that works in JupyterLab: open the notebook to use it.</em></p>"
ASKS_NOBODY = {
    "require_js_url": "",
    "jquery_url": "",
    "mathjax_url": "",
    "mermaid_js_url": "",
    "mermaid_layout_elk_js_url": "",
    "jupyter_widgets_base_url": "",
}


def write_page(notebook: Path, output: Path) -> Path:
    """Write `notebook`, as it was executed, to `output` and return it; raises InvalidInput when it isn't a notebook."""
    from nbconvert import HTMLExporter

    from workbench.batch.execute import read

    found = [f"{output}: the page's name must end in .html"] if output.suffix != ".html" else []
    executed = read(notebook)
    if not any(cell.get("outputs") for cell in executed.cells):
        found.append(f"{notebook} holds no outputs: execute it first")
    if found:
        raise InvalidInput(found, next_move="workbench html EXECUTED.ipynb PAGE.html")
    exporter = HTMLExporter(template_name="lab", embed_images=True, **ASKS_NOBODY)
    body, _ = exporter.from_notebook_node(_offline(executed), {"metadata": {"name": notebook.stem}})
    assert body.count(HEAD) == 1, "nbconvert's page has another head"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    _publish(body.replace(HEAD, HEAD + policy), output)
    return output


def _publish(body: str, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".draft-{os.getpid()}-{output.name}")
    draft.write_text(body, encoding="utf-8")
    os.replace(draft, output)


def _offline(notebook: NotebookNode) -> NotebookNode:
    """Turn every output into what a page without a kernel can show; the notebook is changed in place."""
    notebook.metadata.pop("widgets", None)
    num_charts = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if CHART in data:
                output.data = {"text/html": _chart(data[CHART], brings_plotly=not num_charts)}
                num_charts += 1
            elif WIDGET in data:
                output.data = {"text/html": data.get("text/html", CONTROL)}
    return notebook


def _chart(figure: dict[str, Any], *, brings_plotly: bool) -> str:
    """Return a chart as HTML; the first of a page brings plotly.js, 4.8 MB, for all."""
    import plotly.io

    alt = ((figure.get("layout") or {}).get("meta") or {}).get("alt", "")
    bare = {name: figure[name] for name in ("data", "layout") if name in figure}
    drawn = plotly.io.to_html(
        bare, full_html=False, include_plotlyjs=brings_plotly, include_mathjax=False, validate=False,
        config={"displaylogo": False, "responsive": True, "showSendToCloud": False},
    )  # fmt: skip
    return f'<div role="group" aria-label="{html.escape(alt, quote=True)}">{drawn}</div>'
