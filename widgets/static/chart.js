// One view of a chart: waits for plotly.js, draws with Plotly.react, follows size and theme, sends events back.

const SECONDS_TO_WAIT = 40;
const MS_BETWEEN_HOVERS = 100;
const CONFIG = { displaylogo: false, responsive: false, showSendToCloud: false }; // charts stay on this machine
const AT_ONCE = { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: 0 } };
const NO_PLOTLY = "The charts can't be drawn: plotly.js didn't reach this page. Run all cells again, or reload the page";

class ChartView {
  constructor(model, element) {
    Object.assign(this, { model, element, isRemoved: false, isStale: true, drawing: false, drawnWidth: 0 });
    element.classList.add("wb-chart");
    element.tabIndex = 0;
    element.setAttribute("role", "group");
    element.setAttribute("data-lm-suppress-shortcuts", "true"); // else the arrow keys walk through the notebook's cells
    [this.plot, this.note, this.said] = ["plot", "note", "said"].map((name) => this.part(name));
    this.said.setAttribute("aria-live", "polite");
    this.listen();
    this.refresh();
  }

  part(name) {
    const part = document.createElement("div");
    part.className = `wb-chart-${name}`;
    this.element.append(part);
    return part;
  }

  listen() {
    this.redraw = () => this.refresh();
    this.preview = () => this.move();
    this.model.on("change:figure change:alt change:height", this.redraw);
    this.model.on("change:moved", this.preview);
    this.resizes = new ResizeObserver(() => requestAnimationFrame(() => this.fit()));
    this.resizes.observe(this.element);
    this.forgetTheme = onThemeChange(() => this.refresh());
    this.element.addEventListener("keydown", (event) => this.press(event));
    this.element.addEventListener("blur", () => this.leavePoint());
  }

  remove() {
    this.isRemoved = true;
    this.model.off("change:figure change:alt change:height", this.redraw);
    this.model.off("change:moved", this.preview);
    this.resizes.disconnect();
    this.forgetTheme();
    clearTimeout(this.hoverTimer);
    this.plotly?.purge(this.plot);
  }

  refresh() {
    this.isStale = true;
    this.draw();
  }

  // One drawing at a time, each in a task of its own: ten charts must not freeze the page at once.
  async draw() {
    if (this.drawing) return;
    this.drawing = true;
    try {
      this.plotly ??= await this.arrival();
      while (this.isStale && !this.isRemoved && this.element.clientWidth) {
        await new Promise((resolve) => setTimeout(resolve)); // traits that change together are drawn together
        this.isStale = false;
        await this.react();
      }
    } catch (error) {
      this.tell(`This chart can't be drawn: ${error.message}`);
      console.error(error);
    } finally {
      this.drawing = false;
    }
    if (this.isStale && !this.isRemoved && this.element.clientWidth) this.draw(); // became stale or visible meanwhile
  }

  async arrival() {
    const entry = plotlyOf(this.model.get("version"));
    const soon = setTimeout(() => this.tell("loading the charts…"), 200);
    const late = setTimeout(() => this.tell([NO_PLOTLY, entry.error].filter(Boolean).join(": ")), SECONDS_TO_WAIT * 1000);
    const plotly = await entry.ready; // a late arrival is still welcome
    [soon, late].forEach(clearTimeout);
    this.tell("");
    return plotly;
  }

  async react() {
    const text = this.model.get("figure");
    if (this.isRemoved || !text) return;
    const figure = JSON.parse(text);
    figure.data = figure.data.map((trace) => Object.assign(trace, this.model.get("moved").find(({ uid }) => uid === trace.uid)));
    const { data, layout } = themed(figure, this.element, this.model.get("look"));
    this.element.setAttribute("aria-label", `${this.model.get("alt")} (chart: arrow keys visit its points)`);
    const height = `${layout.height ?? this.model.get("height")}px`;
    Object.assign(this.element.style, { height, minHeight: height }); // a column would squeeze it
    this.drawnWidth = this.element.clientWidth;
    Object.assign(layout, { width: this.drawnWidth, height: this.element.clientHeight, autosize: false });
    layout.uirevision ??= JSON.stringify(axesOf(layout)); // a zoom stays until the axes mean something else
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) layout.transition = { duration: 0 };
    await this.plotly.react(this.plot, data, layout, CONFIG);
    this.place = undefined;
    this.tell("");
    if (!this.isHeard) this.hear();
  }

  // Draws the traces that moved alone: with hundreds of other points, drawing all of them is slower than a hand.
  async move() {
    const moved = this.model.get("moved");
    this.hasMoved = true;
    if (this.isRemoved || this.isStale || this.drawing) return; // the drawing that goes on or is to come shows it
    const traces = moved.map(({ uid }) => this.plot.data?.findIndex((each) => each.uid === uid) ?? -1);
    const isSelected = this.plot.layout?.selections?.length; // plotly 4.1 forgets to draw the others' marks then
    if (!moved.length || traces.includes(-1) || isSelected) return void this.refresh();
    [this.drawing, this.hasMoved] = [true, false];
    try {
      const { data } = themed({ data: moved }, this.element, this.model.get("look"));
      await this.plotly.animate(this.plot, { data, traces }, AT_ONCE);
    } finally {
      this.drawing = false;
    }
    if (this.isStale) this.draw();
    else if (this.hasMoved) this.move();
  }

  fit() {
    const width = this.element.clientWidth;
    if (this.isRemoved || !width) return;
    if (this.isStale) this.draw();
    else if (this.plotly && this.drawnWidth && !this.drawing && width !== this.drawnWidth) {
      this.drawnWidth = width;
      this.plotly.relayout(this.plot, { width });
    }
  }

  hear() {
    this.isHeard = true;
    this.plot.on("plotly_click", ({ points }) => this.send("click", points));
    this.plot.on("plotly_selected", (event) => this.send("select", event?.points ?? []));
    this.plot.on("plotly_deselect", () => this.send("select", []));
    this.plot.on("plotly_hover", () => this.afterHover((points) => this.send("hover", points)));
  }

  send(kind, points) {
    if (this.model.get("listens").includes(kind)) this.model.send({ kind, values: points.map(valueOf) });
  }

  // Plotly hovers 50 ms later when asked often, so what it hovers over is read a little after.
  afterHover(act) {
    clearTimeout(this.hoverTimer);
    this.hoverTimer = setTimeout(() => act(this.plot._hoverdata ?? []), MS_BETWEEN_HOVERS);
  }

  press(event) {
    if (event.target !== this.element || event.altKey || event.ctrlKey || event.metaKey || !this.isHeard) return;
    if (event.key === "Enter" && this.place) this.afterHover((points) => this.send("click", points));
    else if (event.key === "Escape") this.leavePoint();
    else if (event.key in ORDERS || event.key === "Home" || event.key === "End") this.visit(event.key);
    else return;
    event.preventDefault();
  }

  visit(key) {
    const places = placesOf(this.plot);
    if (!places.length) return;
    this.place = nextPlace(places, this.place, key);
    this.plotly.Fx.hover(this.plot, [this.place.at], this.place.subplot);
    this.afterHover((points) => {
      this.said.textContent = points.map(wordsOf).join("; ");
      this.send("hover", points); // plotly itself tells only the mouse's hovering
    });
  }

  leavePoint() {
    if (this.place) this.plotly.Fx.unhover(this.plot);
    this.place = undefined;
  }

  tell(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }
}

function axesOf(layout) {
  const names = Object.keys(layout).filter((name) => /^[xyz]axis\d*$/.test(name)).sort();
  return names.map((name) => [layout[name].title?.text, layout[name].type]);
}

export default {
  initialize: ({ model }) => listenAlways(model, ["figure", "alt", "height", "listens"]),
  render({ model, el }) {
    const view = new ChartView(model, el);
    return () => view.remove();
  },
};
