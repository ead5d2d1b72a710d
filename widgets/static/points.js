// Reaches every point of a chart without a mouse: in which order the arrow keys visit them, and what is said of each.

const REACHABLE = new Set(["scatter", "scattergl", "bar", "box", "heatmap"]);

// A place is what Plotly.Fx.hover takes, with the position by which the arrow keys order it.
function placesOf(gd) {
  return (gd.calcdata ?? []).flatMap((calculated, curveNumber) => {
    const trace = calculated[0]?.trace;
    if (trace?.visible !== true || trace.hoverinfo === "skip" || !REACHABLE.has(trace.type)) return [];
    const subplot = (trace.xaxis ?? "x") + (trace.yaxis ?? "y");
    const found = trace.type === "heatmap" ? cells(calculated[0]) : points(calculated);
    const line = trace.type !== "heatmap" && !trace.mode?.includes("lines") ? -1 : curveNumber;
    return found.map((each) => ({ ...each, at: { ...each.at, curveNumber }, line, subplot }));
  });
}

function points(calculated) {
  return calculated
    .map((each, pointNumber) => ({ x: each.p ?? each.x, y: each.s ?? each.y, at: { pointNumber } }))
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
}

function cells({ x, y, z }) {
  const centre = (edges, index) => (edges.length > index + 1 ? (edges[index] + edges[index + 1]) / 2 : edges[index]);
  return Array.from(z, (row, r) =>
    Array.from(row, (_, c) => {
      const [xval, yval] = [centre(x, c), centre(y, r)];
      return { x: xval, y: yval, at: { xval, yval } };
    }),
  ).flat();
}

const ORDERS = {
  ArrowRight: (a, b) => a.line - b.line || a.x - b.x || a.y - b.y,
  ArrowUp: (a, b) => a.line - b.line || a.y - b.y || a.x - b.x,
};
ORDERS.ArrowLeft = (a, b) => ORDERS.ArrowRight(b, a);
ORDERS.ArrowDown = (a, b) => ORDERS.ArrowUp(b, a);

// Left and right go by x, up and down by y; lines are walked one after the other, and the ends meet.
function nextPlace(places, current, key) {
  if (key === "Home" || !current) return [...places].sort(ORDERS.ArrowRight)[0];
  if (key === "End") return [...places].sort(ORDERS.ArrowLeft)[0];
  const ordered = [...places].sort(ORDERS[key]);
  const same = (each) => each.at.curveNumber === current.at.curveNumber && each.x === current.x && each.y === current.y;
  return ordered[(ordered.findIndex(same) + 1) % ordered.length];
}

const plain = (value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);

// What Python is told of a point: its customdata (a run id), else where it lies.
function valueOf(point) {
  if (point.customdata !== undefined && point.customdata !== null) return plain(point.customdata);
  return { x: point.x, y: point.y, ...(point.z === undefined ? {} : { z: point.z }) };
}

function wordsOf(point) {
  const said = point.hovertext ?? point.text ?? `${point.x}, ${point.y}${point.z === undefined ? "" : `, ${point.z}`}`;
  const page = new DOMParser().parseFromString(String(said).replaceAll("<br>", ". "), "text/html");
  return page.body.textContent;
}
