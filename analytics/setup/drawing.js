// Draws the shapes of one camera on its picture, and lets people move their corners: by mouse, finger and keyboard.
//
// Rules:
// - Nothing is fetched; the picture comes with the data, and every word goes in as text, never as markup.
// - The page decides. What is moved here is told to it as a whole; a newer `revision` of the page replaces what is here.
// - Targets are 24 CSS pixels or more at any zoom, and what a pointer does, keys and the table beside it do as well.

const SVG = "http://www.w3.org/2000/svg";
const TOLD_MS = 450; // after the last key, so that a held arrow is one step to undo
const NEAR = 13; // radius of a target, CSS pixels
const ROOM = 62; // CSS pixels of an edge that has room for a handle between its corners
const ZOOMS = [1, 1.5, 2, 3, 4];

const boards = new WeakMap();

export default function (component) {
  const { parentElement, data } = component;
  let board = boards.get(parentElement);
  if (!board) {
    board = new Board(parentElement.querySelector(".drawing"));
    boards.set(parentElement, board);
  }
  board.tell = (value) => component.setStateValue("drawn", value);
  board.show(data);
  return () => {
    board.close();
    boards.delete(parentElement);
  };
}

function make(name, into, attributes = {}, text = null) {
  const made = into.namespaceURI === SVG || name === "svg" ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  into.append(made);
  return made;
}

const copied = (points) => points.map(([x, y]) => [x, y]);
const whole = (value) => Math.round(value);

class Board {
  constructor(place) {
    this.place = place;
    this.data = null;
    this.points = {}; // of each shape by its id
    this.revision = -1;
    this.undone = 0;
    this.turn = 0;
    this.id = `${Date.now()}-${Math.random()}`; // so that counts of an earlier board are not taken for this one's
    this.zoom = 0;
    this.picked = null; // index of the corner that was touched last
    this.drag = null;
    this.fresh = null; // corners set so far, while a shape is drawn anew
    this.timer = 0;
    this.build();
  }

  build() {
    const bar = make("div", this.place, { class: "bar" });
    const label = make("label", bar, {}, "Shape ");
    this.select = make("select", label, { "aria-label": "Shape" });
    this.select.addEventListener("change", () => this.choose(this.select.value));
    const button = (text, act, label = text) => {
      const made = make("button", bar, { type: "button", "aria-label": label }, text);
      made.addEventListener("click", act);
      return made;
    };
    this.anew = button("Draw it anew", () => this.begin());
    this.done = button("Done", () => this.finish());
    this.cancel = button("Cancel", () => this.end("Nothing was changed."));
    this.more = button("Add corner", () => this.add(), "Add a corner after the chosen one");
    this.less = button("Remove corner", () => this.remove(), "Remove the chosen corner");
    this.undo = button("Undo", () => this.back());
    this.out = button("−", () => this.zoomed(-1), "Zoom out");
    this.in = button("+", () => this.zoomed(1), "Zoom in");
    const both = make("div", this.place, { class: "both" });
    this.frame = make("div", both, { class: "frame" });
    this.table = make("table", both);
    make("caption", this.table);
    const head = make("tr", make("thead", this.table));
    for (const word of ["Corner", "x", "y"]) make("th", head, { scope: "col" }, word);
    this.rows = make("tbody", this.table);
    this.svg = make("svg", this.frame, { role: "group" });
    const defs = make("defs", this.svg);
    const hatch = make("pattern", defs, { id: "hatch", patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    make("rect", hatch, { class: "hatch-ground" });
    make("rect", hatch, { class: "hatch-line" });
    this.hatch = hatch;
    const grid = make("pattern", defs, { id: "grid", patternUnits: "userSpaceOnUse" });
    make("path", grid, { class: "grid-line", fill: "none" });
    this.grid = grid;
    this.ground = make("rect", this.svg, { class: "ground", fill: "url(#grid)" });
    this.image = make("image", this.svg, { preserveAspectRatio: "none", "aria-hidden": "true" });
    this.metres = make("path", this.svg, { class: "metre", "aria-hidden": "true" });
    this.boxes = make("g", this.svg, { class: "boxes", "aria-hidden": "true" });
    this.shapes = make("g", this.svg);
    this.handles = make("g", this.svg);
    this.sketch = make("g", this.svg, { class: "sketch", "aria-hidden": "true" });
    this.said = make("p", this.place, { class: "said", "aria-live": "polite" });
    this.svg.addEventListener("click", (event) => this.clicked(event));
    this.svg.addEventListener("pointermove", (event) => this.hover(event));
    this.place.addEventListener("keydown", (event) => this.key(event));
    this.watcher = new ResizeObserver(() => this.data && this.paint());
    this.watcher.observe(this.frame);
  }

  close() {
    this.watcher.disconnect();
    this.flush();
  }

  // --- what the page says ---

  show(data) {
    const first = this.data === null;
    this.data = data;
    if (data.revision !== this.revision && !this.drag) {
      clearTimeout(this.timer);
      this.timer = 0;
      this.fresh = null;
      const other = this.active !== data.active;
      this.revision = data.revision;
      this.points = Object.fromEntries(data.shapes.map((one) => [one.id, copied(one.points)]));
      this.active = data.active;
      if (first || other) this.picked = null;
    }
    this.svg.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
    this.svg.setAttribute("aria-label", `${data.camera}, ${data.width} by ${data.height} pixels`);
    for (const one of [this.ground, this.image]) {
      one.setAttribute("width", data.width);
      one.setAttribute("height", data.height);
    }
    if (data.still) this.image.setAttribute("href", `data:image/jpeg;base64,${data.still}`);
    else this.image.removeAttribute("href");
    this.image.style.display = data.still ? "" : "none";
    this.paint();
  }

  get shape() {
    return this.data.shapes.find((one) => one.id === this.active) || null;
  }

  get scale() {
    return (this.svg.clientWidth || 1) / this.data.width; // CSS pixels for each of the picture's
  }

  // --- drawing ---

  paint() {
    const { width, height } = this.data;
    this.svg.style.width = `${ZOOMS[this.zoom] * 100}%`;
    const px = 1 / this.scale;
    this.place.style.setProperty("--px", px);
    const cell = width >= 1000 ? 100 : 40;
    this.grid.setAttribute("width", cell);
    this.grid.setAttribute("height", cell);
    this.grid.firstChild.setAttribute("d", `M ${cell} 0 H 0 V ${cell}`);
    this.hatch.setAttribute("width", 10 * px);
    this.hatch.setAttribute("height", 10 * px);
    for (const [i, one] of [...this.hatch.children].entries()) {
      one.setAttribute("width", (i ? 3 : 10) * px);
      one.setAttribute("height", 10 * px);
    }
    this.metres.setAttribute("d", (this.data.lines || []).map((ends) => `M ${ends.map((p) => p.join(" ")).join(" L ")}`).join(" "));
    this.paintBoxes();
    this.paintShapes(px);
    this.paintHandles(px);
    this.paintSketch(px);
    this.paintBar();
    this.paintTable();
    this.ground.setAttribute("height", height);
  }

  keep(group, count, create) {
    while (group.children.length > count) group.lastChild.remove();
    while (group.children.length < count) create();
  }

  paintBoxes() {
    const found = this.data.boxes || [];
    this.keep(this.boxes, found.length, () => make("rect", this.boxes));
    found.forEach(([x0, y0, x1, y1], i) => {
      const box = this.boxes.children[i];
      box.setAttribute("x", x0);
      box.setAttribute("y", y0);
      box.setAttribute("width", Math.max(0, x1 - x0));
      box.setAttribute("height", Math.max(0, y1 - y0));
    });
  }

  paintShapes(px) {
    const shapes = this.data.shapes;
    this.keep(this.shapes, shapes.length, () => {
      const group = make("g", this.shapes);
      make("path", group, { class: "halo" });
      make("path", group, { class: "stroke" });
      make("text", group, {});
      group.addEventListener("click", () => this.choose(group.dataset.id));
    });
    shapes.forEach((one, i) => {
      const group = this.shapes.children[i];
      const points = this.points[one.id] || one.points;
      group.dataset.id = one.id;
      group.setAttribute("class", `shape ${one.tone}${one.id === this.active ? " chosen" : ""}`);
      const path = points.length ? `M ${points.map((p) => p.join(" ")).join(" L ")}${one.closed ? " Z" : ""}` : "";
      group.children[0].setAttribute("d", path);
      group.children[1].setAttribute("d", path);
      const text = group.children[2];
      const [x, y] = this.middle(points);
      const top = Math.min(...points.map((p) => this.inside(p)[1]));
      const chosen = one.id === this.active;
      const crowded = this.svg.clientWidth < 480;
      text.textContent = chosen || !crowded ? (chosen ? one.label : one.short) : "";
      text.setAttribute("x", x);
      text.setAttribute("y", chosen ? Math.max(top - 18 * px, 14 * px) : y + 4 * px);
      text.setAttribute("font-size", 12 * px);
    });
  }

  middle(points) {
    const shown = points.map((p) => this.inside(p));
    const sum = shown.reduce(([x, y], p) => [x + p[0], y + p[1]], [0, 0]);
    return [sum[0] / (shown.length || 1), sum[1] / (shown.length || 1)];
  }

  inside([x, y]) {
    return [Math.min(Math.max(x, 0), this.data.width), Math.min(Math.max(y, 0), this.data.height)];
  }

  between(points) {
    // edges that can take one more corner and have room to show it: index of the corner before, and the place
    const { closed, most } = this.shape;
    if (points.length >= most) return [];
    const found = [];
    for (let i = 0; i < points.length - (closed ? 0 : 1); i++) {
      const [a, b] = [this.inside(points[i]), this.inside(points[(i + 1) % points.length])];
      if (Math.hypot(b[0] - a[0], b[1] - a[1]) * this.scale >= ROOM)
        found.push([i, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]]);
    }
    return found;
  }

  paintHandles(px) {
    const one = this.shape;
    const points = one && !this.fresh ? this.points[one.id] : [];
    const wanted = [];
    points.forEach((point, i) =>
      wanted.push({
        kind: "corner",
        index: i,
        at: this.inside(point),
        label: `corner ${i + 1} of ${points.length}, ${one.label}: x ${whole(point[0])}, y ${whole(point[1])}`,
      }),
    );
    if (points.length) {
      wanted.push({ kind: "all", index: -1, at: this.middle(points), label: `the whole of ${one.label}` });
      if (!this.drag)
        for (const [i, at] of this.between(points)) wanted.push({ kind: "between", index: i, at, label: null });
    }
    this.keep(this.handles, wanted.length, () => {
      const handle = make("g", this.handles);
      make("circle", handle, { class: "target" });
      make("circle", handle, { class: "ring" });
      make("circle", handle, { class: "dot" });
      make("path", handle, { class: "sign" });
      make("text", handle, { class: "number", y: 3.5 });
      handle.addEventListener("pointerdown", (event) => this.grab(event, handle));
      // `touch-action` alone does not keep every browser from scrolling, which would end the drag
      handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
      handle.addEventListener("pointermove", (event) => this.move(event));
      handle.addEventListener("pointerup", (event) => {
        this.move(event); // the last step of a finger may come with its going alone
        this.drop();
      });
      handle.addEventListener("pointercancel", () => this.drop());
      handle.addEventListener("click", (event) => event.stopPropagation());
      handle.addEventListener("focus", () => {
        if (handle.dataset.kind === "corner") this.pick(Number(handle.dataset.index));
      });
      handle.addEventListener("blur", () => this.flush());
    });
    wanted.forEach(({ kind, index, at, label }, i) => {
      const handle = this.handles.children[i];
      handle.dataset.kind = kind;
      handle.dataset.index = index;
      handle.setAttribute("class", `handle ${kind}${kind === "corner" && index === this.picked ? " picked" : ""}`);
      handle.setAttribute("transform", `translate(${at[0]} ${at[1]}) scale(${px})`);
      if (label === null) {
        handle.removeAttribute("tabindex");
        handle.removeAttribute("role");
        handle.removeAttribute("aria-label");
        handle.setAttribute("aria-hidden", "true");
      } else {
        handle.removeAttribute("aria-hidden");
        handle.setAttribute("tabindex", "0");
        handle.setAttribute("role", "button");
        handle.setAttribute("aria-label", label);
        handle.setAttribute("aria-roledescription", kind === "all" ? "shape" : "corner");
      }
      handle.children[0].setAttribute("r", NEAR);
      handle.children[1].setAttribute("r", NEAR - 1);
      handle.children[2].setAttribute("r", kind === "between" ? 6 : 7);
      const signs = { all: "M -5 0 H 5 M 0 -5 V 5", between: "M -3 0 H 3 M 0 -3 V 3", corner: "" };
      handle.children[3].setAttribute("d", signs[kind]);
      handle.children[4].textContent = kind === "corner" ? String(index + 1) : "";
    });
  }

  paintSketch(px) {
    const points = this.fresh || [];
    this.keep(this.sketch, points.length ? points.length + 1 : 0, () =>
      make(this.sketch.children.length ? "circle" : "path", this.sketch),
    );
    if (!points.length) return;
    const tail = this.at ? [this.at] : [];
    this.sketch.children[0].setAttribute("d", `M ${[...points, ...tail].map((p) => p.join(" ")).join(" L ")}`);
    points.forEach(([x, y], i) => {
      const dot = this.sketch.children[i + 1];
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      dot.setAttribute("r", (i === 0 ? 10 : 6) * px);
    });
  }

  paintTable() {
    const one = this.shape;
    const points = one ? this.points[one.id] : [];
    this.table.hidden = !one;
    this.table.firstChild.textContent = one ? `Corners of ${one.label}, in pixels` : "";
    const typed = this.place.getRootNode().activeElement;
    while (this.rows.children.length > points.length) this.rows.lastChild.remove();
    while (this.rows.children.length < points.length) {
      const row = make("tr", this.rows);
      const number = this.rows.children.length;
      make("th", row, { scope: "row" }, String(number));
      for (const [axis, name] of ["x", "y"].entries()) {
        const field = make("input", make("td", row), {
          type: "number",
          step: "any",
          inputmode: "decimal",
          "aria-label": `${name} of corner ${number}`,
        });
        field.addEventListener("focus", () => this.pick(number - 1));
        field.addEventListener("change", () => this.typed(field, number - 1, axis));
      }
    }
    points.forEach((point, i) => {
      this.rows.children[i].classList.toggle("picked", i === this.picked);
      [...this.rows.children[i].querySelectorAll("input")].forEach((field, axis) => {
        if (field !== typed || this.shown !== this.active) field.value = point[axis];
      });
    });
    this.shown = this.active;
  }

  paintBar() {
    const one = this.shape;
    const points = one ? this.points[one.id] : [];
    const shapes = this.data.shapes;
    while (this.select.children.length > shapes.length) this.select.lastChild.remove();
    while (this.select.children.length < shapes.length) make("option", this.select);
    shapes.forEach(({ id, label }, i) => {
      this.select.children[i].value = id;
      this.select.children[i].textContent = label;
    });
    this.select.value = this.active;
    this.select.disabled = this.fresh !== null || !shapes.length;
    this.undo.hidden = this.fresh !== null;
    this.undo.disabled = !this.data.undoable;
    const drawing = this.fresh !== null;
    this.anew.hidden = drawing;
    this.done.hidden = this.cancel.hidden = !drawing;
    this.more.hidden = this.less.hidden = drawing;
    this.anew.disabled = !one;
    this.done.disabled = !drawing || this.fresh.length < one.least;
    this.more.disabled = !one || this.picked === null || points.length >= one.most;
    this.less.disabled = !one || this.picked === null || points.length <= one.least;
    this.out.disabled = this.zoom === 0;
    this.in.disabled = this.zoom === ZOOMS.length - 1;
    this.svg.classList.toggle("drawing-now", drawing);
  }

  // --- what people do ---

  spot(event) {
    const box = this.svg.getBoundingClientRect();
    return this.inside([
      whole(((event.clientX - box.left) / box.width) * this.data.width),
      whole(((event.clientY - box.top) / box.height) * this.data.height),
    ]);
  }

  choose(id) {
    if (this.fresh || this.drag || id === this.active) return;
    this.active = id;
    this.picked = null;
    this.paint();
    this.flush(true);
  }

  pick(index) {
    this.picked = index;
    this.paint();
  }

  grab(event, handle) {
    if (event.button !== 0) return;
    event.preventDefault();
    const points = this.points[this.active];
    let { kind, index } = handle.dataset;
    index = Number(index);
    const grown = kind === "between";
    if (grown) {
      points.splice(index + 1, 0, this.spot(event));
      index += 1;
      this.paint();
      handle = this.handles.children[index]; // corners come first
      kind = "corner";
    }
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(event.pointerId);
    this.drag = { kind, index, from: this.spot(event), was: copied(points), moved: grown };
    if (kind === "corner") this.pick(index);
  }

  move(event) {
    if (!this.drag) return;
    const at = this.spot(event);
    const { kind, index, from, was } = this.drag;
    const [dx, dy] = [at[0] - from[0], at[1] - from[1]];
    if (dx || dy) this.drag.moved = true;
    this.shift(kind, index, was, dx, dy);
    this.paint();
  }

  drop() {
    if (!this.drag) return;
    const { moved } = this.drag;
    this.drag = null;
    if (this.data.revision !== this.revision) this.show(this.data);
    else {
      this.paint();
      if (moved) this.flush(true);
    }
  }

  shift(kind, index, was, dx, dy) {
    const points = this.points[this.active];
    was.forEach((p, i) => {
      if (kind === "all" || i === index) {
        const to = this.inside([whole(p[0] + dx), whole(p[1] + dy)]);
        points[i] = [dx ? to[0] : p[0], dy ? to[1] : p[1]];
      }
    });
  }

  key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      this.back();
      return;
    }
    if (this.fresh) {
      if (event.key === "Escape") this.end("Nothing was changed.");
      return;
    }
    const handle = event.target.closest ? event.target.closest(".handle") : null;
    if (!handle || event.altKey || event.ctrlKey || event.metaKey) return;
    const { kind } = handle.dataset;
    const step = event.shiftKey ? 10 : 1;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (by) {
      event.preventDefault();
      this.shift(kind, Number(handle.dataset.index), copied(this.points[this.active]), ...by);
      this.paint();
      this.say(handle.getAttribute("aria-label"));
      this.later();
    } else if (event.key === "Enter" && kind === "corner") {
      event.preventDefault();
      this.add();
    } else if ((event.key === "Delete" || event.key === "Backspace") && kind === "corner") {
      event.preventDefault();
      this.remove();
    }
  }

  back() {
    this.flush();
    this.undone += 1;
    this.send();
  }

  typed(field, index, axis) {
    const value = field.valueAsNumber;
    const points = this.points[this.active];
    if (!Number.isFinite(value) || Math.abs(value) > this.data.farthest) {
      field.value = points[index][axis];
      this.say("That is no number of pixels in or near the picture; it stays as it was.");
      return;
    }
    points[index][axis] = value;
    this.paint();
    this.flush(true);
  }

  add() {
    const one = this.shape;
    const points = this.points[this.active];
    if (this.picked === null || points.length >= one.most) {
      this.say(`${one.label} has as many corners as it can.`);
      return;
    }
    const [a, b] = [points[this.picked], points[(this.picked + 1) % points.length]];
    points.splice(this.picked + 1, 0, this.inside([whole((a[0] + b[0]) / 2), whole((a[1] + b[1]) / 2)]));
    this.settle(this.picked + 1, "A corner was added.");
  }

  remove() {
    const one = this.shape;
    const points = this.points[this.active];
    if (this.picked === null || points.length <= one.least) {
      this.say(`${one.label} needs ${one.least} corners or more.`);
      return;
    }
    points.splice(this.picked, 1);
    this.settle(Math.max(0, this.picked - 1), "The corner was removed.");
  }

  settle(index, words) {
    this.picked = index;
    this.paint();
    this.handles.children[index].focus();
    this.say(words);
    this.flush(true);
  }

  begin() {
    this.flush();
    this.fresh = [];
    this.at = null;
    this.say("Tap the corners in order around it; tap the first one again, or press Done.");
    this.paint();
  }

  hover(event) {
    if (!this.fresh || event.pointerType === "touch") return;
    this.at = this.spot(event);
    this.paintSketch(1 / this.scale);
  }

  clicked(event) {
    if (!this.fresh) return;
    const at = this.spot(event);
    const first = this.fresh[0];
    const near = first && Math.hypot(at[0] - first[0], at[1] - first[1]) * this.scale <= NEAR;
    if (near && this.fresh.length >= this.shape.least) {
      this.finish();
      return;
    }
    if (!near) this.fresh.push(at);
    if (this.fresh.length >= this.shape.most) this.finish();
    else this.paint();
  }

  finish() {
    if (this.fresh.length < this.shape.least) return;
    this.points[this.active] = this.fresh;
    this.end("It is drawn.");
    this.flush(true);
  }

  end(words) {
    this.fresh = null;
    this.at = null;
    this.picked = null;
    this.say(words);
    this.paint();
    this.anew.focus();
  }

  zoomed(by) {
    this.zoom = Math.min(Math.max(this.zoom + by, 0), ZOOMS.length - 1);
    this.paint();
    this.say(`Zoom ${ZOOMS[this.zoom] * 100} %`);
  }

  // --- what the page is told ---

  say(words) {
    this.said.textContent = words;
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), TOLD_MS);
  }

  flush(now = false) {
    const waits = this.timer !== 0;
    clearTimeout(this.timer);
    this.timer = 0;
    if (waits || now) this.send();
  }

  send() {
    this.turn += 1;
    this.tell({
      board: this.id,
      revision: this.revision,
      turn: this.turn,
      undone: this.undone,
      active: this.active,
      points: this.points,
    });
  }
}
