// Which plotly.js is on this page. Charts and loaders of any kernel meet here, keyed by version: a kernel with another
// plotly brings its own. This file is put in front of loader.js and chart.js; it is no module of its own.

function plotlyOf(version) {
  const all = (globalThis.workbenchPlotly ??= new Map());
  if (!all.has(version)) {
    const entry = { begun: false, error: "" };
    entry.ready = new Promise((resolve) => (entry.resolve = resolve));
    all.set(version, entry);
  }
  return all.get(version);
}
