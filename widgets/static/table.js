// The table of runs: ten thousand rows, of which only the visible ones are in the page. Sort, search and scroll position
// belong to this view; which rows are selected belongs to the model, by id.

const ROW_HEIGHT = 28;
const SPARE_ROWS = 6;

const make = (tag, properties = {}, attributes = {}) => {
  const element = Object.assign(document.createElement(tag), properties);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  return element;
};

class TableView {
  constructor(model, element) {
    Object.assign(this, { model, element, sort: { column: "", descending: false }, active: 0, anchor: 0, rows: [] });
    element.classList.add("wb-table");
    element.setAttribute("data-lm-suppress-shortcuts", "true"); // else the arrow keys walk through the notebook's cells
    this.search = make("input", { type: "search", placeholder: "Search all columns" }, { "aria-label": "Search the table" });
    this.count = make("span", { className: "wb-table-count" }, { role: "status" });
    this.scroller = make("div", { className: "wb-table-scroller", tabIndex: 0 });
    this.grid = make("table", {}, { role: "grid", "aria-multiselectable": "true", "aria-label": model.get("label") });
    [this.head, this.body] = [this.grid.createTHead(), this.grid.createTBody()];
    const bar = make("div", { className: "wb-table-bar" });
    bar.append(this.search, this.count);
    this.scroller.append(this.grid);
    element.append(bar, this.scroller);
    this.listen();
    this.read();
  }

  listen() {
    this.handlers = { "change:packed": () => this.read(), "change:selected": () => this.follow(), "change:height": () => this.paint() };
    Object.entries(this.handlers).forEach(([event, handler]) => this.model.on(event, handler));
    this.search.addEventListener("input", () => this.arrange());
    this.scroller.addEventListener("scroll", () => this.paint());
    this.scroller.addEventListener("keydown", (event) => this.press(event));
    this.head.addEventListener("click", (event) => this.sortBy(event.target.closest("th")?.dataset.column));
    this.body.addEventListener("click", (event) => this.click(event));
    this.resizes = new ResizeObserver(() => requestAnimationFrame(() => this.paint())); // in a hidden tab nothing has a height
    this.resizes.observe(this.scroller);
  }

  remove() {
    Object.entries(this.handlers).forEach(([event, handler]) => this.model.off(event, handler));
    this.resizes.disconnect();
  }

  async read() {
    const [packed, turn] = [this.model.get("packed"), (this.numReads = (this.numReads ?? 0) + 1)];
    const text = packed.byteLength ? await unpacked(packed).then((blob) => blob.text()) : '{"ids":[],"columns":[],"cells":[]}';
    if (turn !== this.numReads) return; // a newer one is on its way
    const activeId = this.table?.ids[this.rows[this.active]];
    this.table = readTable(text);
    this.arrange({ activeId });
  }

  // `activeId`: the row that keeps the cursor, where it is still listed.
  arrange({ activeId } = {}) {
    this.rows = sortedRows(this.table, foundRows(this.table, this.search.value), this.sort);
    const kept = activeId === undefined ? -1 : this.rows.indexOf(this.table.index.get(activeId));
    this.active = this.anchor = Math.max(kept, 0);
    if (activeId === undefined) this.scroller.scrollTop = 0;
    this.paintHead();
    this.paint();
  }

  sortBy(column) {
    if (!column) return;
    const again = this.sort.column === column;
    this.sort = again && this.sort.descending ? { column: "", descending: false } : { column, descending: again };
    this.arrange();
    this.head.querySelector(`[data-column="${CSS.escape(column)}"] button`).focus();
  }

  paintHead() {
    const widths = widthsOf(this.table);
    const row = make("tr");
    this.table.columns.forEach(({ name, label, help, isNumber }, number) => {
      const order = this.sort.column !== name ? "none" : this.sort.descending ? "descending" : "ascending";
      const cell = make("th", { className: isNumber ? "wb-number" : "", title: help }, { scope: "col", "aria-sort": order });
      cell.dataset.column = name;
      cell.style.width = `${widths[number]}ch`;
      const arrow = { none: "", ascending: "\u00a0▲", descending: "\u00a0▼" }[order];
      cell.append(make("button", { type: "button", textContent: label + arrow }));
      row.append(cell);
    });
    this.head.replaceChildren(row);
    this.grid.style.width = `${widths.reduce((sum, width) => sum + width, 0)}ch`;
  }

  paint() {
    const { scroller, rows } = this;
    scroller.style.maxHeight = `${this.model.get("height")}px`;
    if (!this.table || !scroller.clientWidth) return; // hidden, it would say that it's scrolled to its top
    const selected = new Set(this.model.get("selected"));
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const last = Math.min(rows.length, first + Math.ceil(this.model.get("height") / ROW_HEIGHT) + 2 * SPARE_ROWS);
    const space = (count) => {
      const row = make("tr", { className: "wb-table-space" }, { "aria-hidden": "true" });
      row.style.height = `${count * ROW_HEIGHT}px`;
      return row;
    };
    const visible = rows.slice(first, last).map((row, offset) => this.line(row, first + offset, selected));
    this.body.replaceChildren(space(first), ...visible, space(rows.length - last));
    this.grid.setAttribute("aria-rowcount", rows.length + 1);
    const active = this.body.querySelector(".wb-active");
    if (active) this.scroller.setAttribute("aria-activedescendant", active.id);
    else this.scroller.removeAttribute("aria-activedescendant");
    this.count.textContent = this.words(selected.size);
  }

  words(numSelected) {
    const [num, all] = [this.rows.length, this.table.ids.length].map((count) => count.toLocaleString("en-US"));
    const listed = `${num === all ? all : `${num} of ${all}`} ${this.model.get("label")}`;
    return numSelected ? `${listed} · ${numSelected.toLocaleString("en-US")} selected` : listed;
  }

  line(row, position, selected) {
    const id = this.table.ids[row];
    const line = make("tr", { id: `${this.model.get("prefix")}-${row}` }, { "aria-rowindex": position + 2, "aria-selected": selected.has(id) });
    line.dataset.position = position;
    line.classList.toggle("wb-active", position === this.active);
    this.table.columns.forEach(({ isNumber }, number) => {
      const text = textOf(this.table.cells[number][row]);
      line.append(make("td", { textContent: text, title: text, className: isNumber ? "wb-number" : "" }));
    });
    return line;
  }

  click(event) {
    const line = event.target.closest("tr[data-position]");
    if (!line) return;
    this.active = Number(line.dataset.position);
    this.scroller.focus({ preventScroll: true });
    if (event.shiftKey) this.choose(this.range());
    else if (event.ctrlKey || event.metaKey) this.toggle();
    else this.choose([this.active]);
    if (!event.shiftKey) this.anchor = this.active;
  }

  press(event) {
    if (event.target !== this.scroller || event.altKey) return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW_HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.move(this.active + steps[event.key], event.shiftKey);
    else if (event.key === " ") this.toggle();
    else if (event.key === "Enter") this.choose([this.active]);
    else if (event.key === "Escape") this.choose([]);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.choose(this.rows.keys());
    else return;
    event.preventDefault();
  }

  move(position, extends_) {
    this.active = Math.max(0, Math.min(this.rows.length - 1, position));
    this.reveal(this.active);
    if (extends_) this.choose(this.range());
    else this.anchor = this.active;
    this.paint();
  }

  range() {
    const [from, to] = [Math.min(this.anchor, this.active), Math.max(this.anchor, this.active)];
    return Array.from({ length: to - from + 1 }, (_, offset) => from + offset);
  }

  toggle() {
    const id = this.table.ids[this.rows[this.active]];
    const before = this.model.get("selected");
    this.tell(before.includes(id) ? before.filter((each) => each !== id) : [...before, id]);
    this.anchor = this.active;
  }

  choose(positions) {
    this.tell(Array.from(positions, (position) => this.table.ids[this.rows[position]]).filter((id) => id !== undefined));
  }

  tell(ids) {
    this.chosenHere = ids;
    this.model.set("selected", ids);
    this.model.save_changes();
    this.paint();
  }

  // Selected elsewhere (a chart, another view): show it, and bring its first row into sight.
  follow() {
    const ids = this.model.get("selected");
    if (this.table && ids !== this.chosenHere && ids.length) {
      const chosen = new Set(ids.map((id) => this.table.index.get(id)));
      const position = this.rows.findIndex((row) => chosen.has(row));
      if (position >= 0) this.reveal((this.active = this.anchor = position));
    }
    this.paint();
  }

  reveal(position) {
    const { scroller } = this;
    const [top, space] = [position * ROW_HEIGHT, scroller.clientHeight - this.head.offsetHeight];
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + ROW_HEIGHT > scroller.scrollTop + space) scroller.scrollTop = top + ROW_HEIGHT - space;
  }
}

export default {
  initialize: ({ model }) => listenAlways(model, ["packed", "selected", "height", "label", "prefix"]),
  render({ model, el }) {
    const view = new TableView(model, el);
    return () => view.remove();
  },
};
