// Draws a figure in the colours of the page: transparent background, and light ink where the page is dark.

const CLEAR = "rgba(0,0,0,0)";
const LIGHT_BUTTONS = { bgcolor: CLEAR, color: "rgba(0,0,0,0.45)", activecolor: "rgba(0,0,0,0.9)" };
const DARK_BUTTONS = { bgcolor: CLEAR, color: "rgba(255,255,255,0.5)", activecolor: "rgba(255,255,255,0.95)" };
const NO_COLOURS = new Set(["customdata", "text", "hovertext", "ids", "meta", "name", "x", "y", "z"]);
const WHITE = new Set(["white", "#fff", "#ffffff"]);

// The nearest background that is really painted decides; this holds in JupyterLab, Voila and exported pages alike.
function isDark(element) {
  for (let each = element; each; each = each.parentElement) {
    const parts = getComputedStyle(each).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    const opaque = parts.length >= 3 && (parts[3] ?? 1) > 0.5;
    if (opaque) return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] < 128;
  }
  return document.body.dataset.jpThemeLight === "false";
}

// `colours` maps a colour of the light look to the one that takes its place; `surface` replaces white in the layout.
function recoloured(value, colours, surface) {
  if (typeof value === "string") return colours[value] ?? (surface && WHITE.has(value) ? surface : value);
  if (Array.isArray(value)) return value.map((each) => recoloured(each, colours, surface));
  if (value === null || typeof value !== "object" || "bdata" in value) return value;
  const pairs = Object.entries(value).map(([key, each]) => [
    key,
    NO_COLOURS.has(key) ? each : recoloured(each, colours, surface),
  ]);
  return Object.fromEntries(pairs);
}

// What a figure doesn't say itself comes from its template, so the dark defaults go there.
function darkTemplate(template, { ink, grid, line, surface }) {
  const axis = { gridcolor: grid, linecolor: line, tickcolor: line, zerolinecolor: line, color: ink };
  const said = template?.layout ?? {};
  const layout = {
    ...said,
    font: { ...said.font, color: ink },
    hoverlabel: { ...said.hoverlabel, bgcolor: surface, font: { color: ink } },
    legend: { ...said.legend, bgcolor: CLEAR, font: { color: ink } },
    newselection: { line: { color: ink } },
    xaxis: { ...said.xaxis, ...axis },
    yaxis: { ...said.yaxis, ...axis },
  };
  return { ...template, layout };
}

function themed(figure, element, { colours, dark }) {
  const isOnDark = isDark(element);
  const change = (value, surface) => (isOnDark ? recoloured(value, colours, surface) : value);
  const data = change(figure.data);
  const layout = { ...change(figure.layout ?? {}, dark.surface), paper_bgcolor: CLEAR, plot_bgcolor: CLEAR };
  layout.modebar = { ...(isOnDark ? DARK_BUTTONS : LIGHT_BUTTONS), ...layout.modebar }; // else grey: transparent counts as black
  if (isOnDark) layout.template = darkTemplate(layout.template, dark);
  return { data, layout };
}

function onThemeChange(listener) {
  const observer = new MutationObserver(() => requestAnimationFrame(listener));
  observer.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  return () => observer.disconnect();
}
