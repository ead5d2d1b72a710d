"""The shell of a report: one page with everything in it, which asks nothing of the network.

The content policy forbids every request, so that a library's built-in addresses (map tiles and the like) stay unused.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)


class Section(NamedTuple):
    """One part of the page; `body` is finished HTML."""

    anchor: str
    heading: str
    body: str


def page(title: str, lead: str, sections: Sequence[Section], *, style: str = "", script: str = "") -> str:
    """Return the whole document; `lead` (HTML) stands above the first section, plotly.js is embedded once.

    `style` and `script` are what a page has beyond what all of them have.
    """
    from plotly.offline import get_plotlyjs

    links = "".join(f'<a href="#{each.anchor}">{html.escape(each.heading)}</a>' for each in sections)
    bodies = "".join(
        f'<section id="{each.anchor}"><h2>{html.escape(each.heading)}</h2>{each.body}</section>' for each in sections
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}{style}</style></head><body>'
        f'<header><h1>{html.escape(title)}</h1>{lead}<nav aria-label="Sections">{links}</nav></header>'
        f"<main>{bodies}</main><script>{get_plotlyjs()}</script><script>{SCRIPT}{script}</script></body></html>"
    )


STYLE = """
:root { color-scheme: light; --ink: #1d2329; --soft: #56606b; --line: #d9dee4; --wash: #f4f6f8; --link: #005a94; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: white; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, sans-serif; }
header, main { max-width: 1320px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 28px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 20px; margin: 40px 0 10px; padding-top: 10px; border-top: 2px solid var(--ink); }
h3 { font-size: 16px; margin: 20px 0 6px; }
p { margin: 6px 0 10px; } p, main > section > ul > li { max-width: 110ch; }
a { color: var(--link); }
.soft, figcaption, caption { color: var(--soft); font-size: 13px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 14px 0 0; font-size: 14px; }
.headline { margin: 14px 0; padding: 4px 18px 4px 34px; background: var(--wash); border-left: 4px solid var(--link); }
.headline li { margin: 7px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 16px; align-items: start; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: 4px 16px 12px; }
.card ul { padding-left: 20px; margin: 8px 0; font-size: 14px; }
.chip { display: inline-block; padding: 0 8px; border: 1px solid; border-radius: 10px; font-size: 12px; line-height: 18px;
  font-weight: 600; white-space: nowrap; background: white; }
.good { color: #00634a; } .open { color: #8a5200; } .bad { color: #a33f00; } .plain { color: var(--soft); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: 8px 24px; }
figure { margin: 8px 0; min-width: 0; }
.plot { width: 100%; min-height: 300px; }
.controls { display: flex; flex-wrap: wrap; gap: 8px 28px; align-items: center; font-size: 14px; margin: 8px 0; }
.controls fieldset { border: 0; padding: 0; margin: 0; } .controls legend { float: left; padding: 0 10px 0 0; }
.controls label { margin-right: 10px; }
.controls input[type=search], .controls select { font: inherit; padding: 3px 6px; border: 1px solid #8a94a0; border-radius: 4px; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
.scroll table { width: 100%; }
caption { text-align: left; padding: 6px 10px; caption-side: bottom; }
th, td { padding: 5px 6px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { background: var(--wash); vertical-align: bottom; line-height: 1.25; }
td.n, th.n { text-align: right; } td.n { white-space: nowrap; }
td small { display: block; color: var(--soft); font-size: 11.5px; line-height: 1.35; }
td code, p code, li code, small code { font-size: 11.5px; overflow-wrap: anywhere; }
thead button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
  text-align: inherit; }
thead button:hover, thead button:focus-visible { text-decoration: underline; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
tr:target { background: #fff6d6; } tr.chosen > :first-child { box-shadow: inset 4px 0 0 #00634a; }
#runs-table td:nth-child(2) { min-width: 215px; }
.facts th { font-weight: 500; color: var(--soft); padding-left: 0; }
.facts td, .facts th { border: 0; padding-top: 2px; padding-bottom: 2px; }
.flips { display: flex; flex-wrap: wrap; gap: 12px; list-style: none; padding: 0; margin: 10px 0; }
.flips li { width: 182px; border: 1px solid var(--line); border-radius: 6px; padding: 8px; font-size: 12.5px; line-height: 1.4; }
.flips img { width: 64px; height: 64px; image-rendering: pixelated; float: left; margin: 0 10px 4px 0; background: #000; }
.flips small { clear: both; display: block; color: var(--soft); font-size: 11.5px; }
.bar { display: block; height: 6px; background: var(--wash); margin-top: 3px; }
.bar i { display: block; height: 6px; background: #0072B2; } .bar i.new { background: #D55E00; }
.modebar { opacity: 0; } .plot:hover .modebar, .plot:focus-within .modebar { opacity: 1; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--link); }
noscript p { color: #a33f00; }
@media (max-width: 900px) { header, main { padding: 0 14px; } .pair, .cards { grid-template-columns: 1fr; } }
@page { size: A4 landscape; margin: 12mm; }
@media print { nav, .controls, .modebar { display: none !important; } body { font-size: 11px; } main, header { max-width: none; padding: 0; }
  figure, .card, tr, .flips li { break-inside: avoid; } h2, h3 { break-after: avoid; } table { font-size: 9px; } td small, td code, small code, .chip { font-size: 8px; }
  #runs-table td:nth-child(2) { min-width: 0; } .chip { line-height: 12px; padding: 0 5px; }
  .pair { grid-template-columns: 1fr; } .scroll { overflow: visible; border: 0; } th, td { padding: 2px 4px; } }
"""

SCRIPT = """
(() => {
  const picked = {};
  const fits = (node) => Object.entries(picked).every(([key, value]) => !(key in node.dataset) || node.dataset[key] === value);
  const draw = (figure) => {
    const variant = [...figure.querySelectorAll("script.variant")].find(fits);
    const plot = figure.querySelector(".plot");
    if (!variant) return;
    const content = JSON.parse(variant.textContent);
    plot.setAttribute("aria-label", content.layout.meta.alt);
    const near = picked.zoom === "near" && content.layout.meta.near;
    if (near) Object.assign(content.layout.yaxis, {range: near, autorange: false});
    Plotly.react(plot, content.data, content.layout, {displaylogo: false, displayModeBar: "hover", responsive: true, plotlyServerURL: ""});
    figure.querySelectorAll("figcaption[data-split], figcaption[data-speed]").forEach((each) => { each.hidden = !fits(each); });
  };
  const drawAll = () => document.querySelectorAll("figure.chart").forEach(draw);
  document.querySelectorAll("[data-pick]").forEach((input) => {
    if (input.checked) picked[input.dataset.pick] = input.value;
    input.addEventListener("change", () => { picked[input.dataset.pick] = input.value; drawAll(); });
  });
  drawAll();
  const fit = () => document.querySelectorAll(".plot").forEach((plot) => Plotly.Plots.resize(plot));
  window.addEventListener("beforeprint", fit);
  window.addEventListener("afterprint", fit);

  const table = document.getElementById("runs-table");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows];
  const search = document.getElementById("runs-search"), status = document.getElementById("runs-status");
  const count = document.getElementById("runs-count");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !(words.every((word) => text.includes(word)) && (!status.value || row.dataset.status === status.value));
      shown += !row.hidden;
    });
    count.textContent = `${shown} of ${rows.length} ${table.dataset.noun || "runs"}`;
  };
  search.addEventListener("input", filter);
  status.addEventListener("change", filter);
  filter();
  [...table.tHead.rows[0].cells].forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      [...table.tHead.rows[0].cells].forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[index].dataset.value ?? row.cells[index].textContent.trim();
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");  // what is missing stays below
        const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
})();
"""
