"""The colours of charts on a dark page, for `Chart` and for figures that JupyterLab itself draws."""

from __future__ import annotations

from workbench.charts import _style

DARK = {"ink": "#e6e6e6", "grid": "#3a3f45", "line": "#8a8f98", "surface": "#1f2328"}
# What of the palette can't be seen on a dark page, and what stands for it there.
ON_DARK = {_style.INK: DARK["ink"], _style.GRID: DARK["grid"], "#332288": "#9a8cf0"}

# A figure that is a cell's value is drawn by plotly's own extension, which knows no theme; rules reach its SVG at once and
# also in a notebook that is opened again without its kernel, where a widget would be gone.
FIGURE = 'body[data-jp-theme-light="false"] .jp-RenderedPlotly'
CLEAR = (".main-svg", ".bglayer .bg", ".legend .bg", ".modebar-group")
BUTTON, PRESSED = "rgba(255, 255, 255, 0.5)", "rgba(255, 255, 255, 0.95)"


def figures_style() -> str:
    """Return rules that draw plotly's SVG in the colours of a dark page, as long as the page is dark."""
    rules = [f"{FIGURE} {each} {{ background: none !important; fill: none !important; }}" for each in CLEAR]
    for light, dark in ON_DARK.items():
        for kind in ("fill", "stroke"):
            rules.append(f'{FIGURE} [style*="{kind}: {_as_styled(light)}"] {{ {kind}: {dark} !important; }}')
    for each in (".annotation .bg", ".hovertext path"):
        white = f'{each}[style*="fill: {_as_styled("#ffffff")}"]'
        rules.append(f"{FIGURE} {white} {{ fill: {DARK['surface']} !important; }}")
    rules.append(f"{FIGURE} .modebar-btn .icon path {{ fill: {BUTTON} !important; }}")
    rules.append(f"{FIGURE} .modebar-btn:is(.active, :hover) .icon path {{ fill: {PRESSED} !important; }}")
    # What stands there after a reload, until a pointer comes: a picture that the extension took of the light figure.
    rules.append(f"{FIGURE} .plot-img {{ filter: invert(0.93) hue-rotate(180deg); }}")
    return "\n".join(rules)


def _as_styled(colour: str) -> str:
    """Return a colour as browsers write it into a style attribute: rgb(34, 34, 34)."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"
