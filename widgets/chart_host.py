"""Shows any number of plotly figures in a notebook with one plotly.js, and sends clicks and selections back.

    chart = Chart(alt="size against accuracy")
    chart.on_click(lambda run_id: …)             # `customdata` of the point
    chart.show(figure)                           # again and again: zoom stays, nothing is sent when nothing changed

A `FigureWidget` would carry five megabytes of plotly.js each, come back empty after a reload and keep its first width.
Here one `Loader` brings plotly.js to the page. A chart is what its traits say, so it comes back with the page.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from widgets._dark import DARK, ON_DARK
from widgets._listening import Listening
from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT = 420

Heard = Callable[[Any], None]
"""Takes a point's customdata, or {"x", "y"} (and "z") where it has none."""


def script(*names: str) -> str:
    """Return files of `static/` one behind the other: the browser half of a widget is one text."""
    folder = resources.files("widgets") / "static"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


class Loader(anywidget.AnyWidget):
    """Brings the plotly.js of the installed plotly to the page, packed to 1.5 MB; it is never shown itself."""

    _esm = script("registry.js", "unpack.js", "loader.js")
    version = traitlets.Unicode().tag(sync=True)
    source = traitlets.Bytes().tag(sync=True)

    @traitlets.default("version")
    def _version(self) -> str:
        return metadata.version("plotly")

    @traitlets.default("source")
    def _source(self) -> bytes:
        return zlib.compress((resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes(), 6)


_loaders: list[Loader] = []  # the one of this kernel


def loader() -> Loader:
    """Return the kernel's one loader; made anew where `Widget.close_all()` has closed it."""
    if not _loaders or _loaders[0].comm is None:
        _loaders[:] = [Loader()]
    return _loaders[0]


class Chart(Listening):
    """One place for a figure. `show` may be called on any thread; handlers run where the kernel hears the browser."""

    _esm = script("registry.js", "listening.js", "theme.js", "points.js", "chart.js")
    _css = script("chart.css")
    figure = traitlets.Unicode().tag(sync=True)  # plotly's JSON, arrays as typed arrays; "" = nothing to show yet
    moved = traitlets.List(traitlets.Dict()).tag(sync=True)  # traces by uid, with what differs from `figure`
    alt = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(HEIGHT).tag(sync=True)  # pixels, where the figure says none
    version = traitlets.Unicode().tag(sync=True)  # of plotly
    look = traitlets.Dict({"colours": ON_DARK, "dark": DARK}).tag(sync=True)
    listens = traitlets.List(traitlets.Unicode()).tag(sync=True)  # what of click, select and hover is sent at all
    loader = traitlets.Instance(Loader).tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(self, alt: str = "", height: int = HEIGHT) -> None:
        brings = loader()
        super().__init__(height=height, loader=brings, version=brings.version)
        self.own_alt = alt  # "" = the figure's own words
        self.alt = alt
        self._handlers: dict[str, list[Heard]] = {"click": [], "select": [], "hover": []}
        self.on_msg(self._hear)

    def show(self, figure: go.Figure) -> None:
        """Draw `figure`; what stands in its `layout.meta["alt"]` says it in words, unless this chart has its own."""
        said = self.own_alt or (figure.layout.meta or {}).get("alt", "")
        with self.hold_sync():
            self.figure, self.alt, self.moved = figure.to_json(validate=False, remove_uids=False), said, []

    def move(self, traces: Sequence[Mapping[str, Any]]) -> None:
        """Change some traces of the shown figure, named by their `uid`, while a hand is on a knob; `show` ends it.

        Quick with any number of other traces: only these are drawn. Axes, legend, shapes and hover order stay.
        """
        self.moved = [_style.plain(trace) for trace in traces]

    def on_click(self, handler: Heard) -> None:
        """Call `handler(value)` for each point clicked, or visited with the arrow keys and Enter pressed."""
        self._listen("click", handler)

    def on_select(self, handler: Heard) -> None:
        """Call `handler(values)` with all points of a box or lasso; an empty list when nothing is selected."""
        self._listen("select", handler)

    def on_hover(self, handler: Heard) -> None:
        """Call `handler(value)` for the point that the pointer or the arrow keys rest on, at most ten times a second."""
        self._listen("hover", handler)

    def _listen(self, kind: str, handler: Heard) -> None:
        self._handlers[kind].append(handler)
        if kind not in self.listens:
            self.listens = [*self.listens, kind]

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        kind, values = content.get("kind", ""), content.get("values", [])
        for handler in self._handlers.get(kind, []):
            for told in [values] if kind == "select" else values:
                handler(told)
