"use strict";
/* The scatter plot, on a canvas: every clip a point, those that do not fit the filters faint. */

gallery.buildPlot = () => {
  const {element} = gallery;
  const [canvas, area, tip, brush, legend, said] = ["plot", "plot-area", "plot-tip", "plot-brush", "plot-legend", "plot-said"]
    .map((id) => document.getElementById(id));
  const MARGIN = {left: 58, right: 12, top: 10, bottom: 40}, RADIUS = 3, NEAR = 16, SHADES = 24;
  let x = null, y = null, colour = null;
  let places = {x: new Float32Array(0), y: new Float32Array(0)}; // of each row, pixels; NaN if it has no values
  let current = -1; // row under the pointer or the keyboard
  let pressed = null;

  /* Ticks at 1, 2 or 5 times a power of ten. */
  const ticks = (low, high, about) => {
    const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9); i++) found.push(Number((i * step).toPrecision(10)));
    return found;
  };

  const bounds = (column) => {
    const room = (column.high - column.low) * 0.03;
    return [column.low - room, column.high + room];
  };
  const scale = (column, from, to) => {
    const [low, high] = bounds(column);
    return {
      to: (value) => from + (value - low) / (high - low) * (to - from),
      back: (pixel) => low + (pixel - from) / (to - from) * (high - low),
    };
  };
  const scales = () => ({
    x: scale(x, MARGIN.left, canvas.clientWidth - MARGIN.right),
    y: scale(y, canvas.clientHeight - MARGIN.bottom, MARGIN.top),
  });

  const draw = () => {
    const width = canvas.clientWidth, height = canvas.clientHeight, dense = devicePixelRatio || 1;
    if (!width || !x || !y) return;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    axes(pen, width, height);
    const at = scales(), rows = gallery.table.index.length;
    places = {x: new Float32Array(rows).fill(NaN), y: new Float32Array(rows).fill(NaN)};
    const shades = new Map(); // colour -> rows
    const shade = shadeOf();
    for (let row = 0; row < rows; row++) {
      const a = x.values[row], b = y.values[row];
      if (a === null || b === null) continue;
      places.x[row] = at.x.to(a);
      places.y[row] = at.y.to(b);
      const name = gallery.fits[row] ? shade(row) : "";
      const same = shades.get(name);
      if (same) same.push(row); else shades.set(name, [row]);
    }
    const faint = shades.get("") ?? [];
    shades.delete("");
    pen.globalAlpha = 0.35;
    dots(pen, faint, gallery.css("--faint"), RADIUS - 1);
    pen.globalAlpha = rows > 3000 ? 0.6 : 0.85;
    for (const [name, of] of shades) dots(pen, of, name, RADIUS);
    pen.globalAlpha = 1;
    if (current >= 0 && !Number.isNaN(places.x[current])) {
      pen.strokeStyle = gallery.css("--ink");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(places.x[current], places.y[current], RADIUS + 4, 0, 7);
      pen.stroke();
    }
  };

  const dots = (pen, rows, fill, radius) => {
    pen.fillStyle = fill;
    pen.beginPath();
    for (const row of rows) {
      pen.moveTo(places.x[row] + radius, places.y[row]);
      pen.arc(places.x[row], places.y[row], radius, 0, 7);
    }
    pen.fill();
  };

  const axes = (pen, width, height) => {
    const at = scales(), right = width - MARGIN.right, bottom = height - MARGIN.bottom;
    pen.font = "12px system-ui, sans-serif";
    pen.strokeStyle = gallery.css("--line");
    pen.fillStyle = gallery.css("--quiet");
    pen.lineWidth = 1;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const tick of ticks(...bounds(x), Math.min(10, width / 60))) {
      const place = Math.round(at.x.to(tick)) + 0.5;
      pen.beginPath(); pen.moveTo(place, MARGIN.top); pen.lineTo(place, bottom); pen.stroke();
      pen.fillText(gallery.number(tick), place, bottom + 5);
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of ticks(...bounds(y), Math.max(2, height / 55))) {
      const place = Math.round(at.y.to(tick)) + 0.5;
      pen.beginPath(); pen.moveTo(MARGIN.left, place); pen.lineTo(right, place); pen.stroke();
      pen.fillText(gallery.number(tick), MARGIN.left - 6, place);
    }
    pen.fillStyle = gallery.css("--ink");
    pen.textAlign = "center";
    pen.textBaseline = "bottom";
    pen.fillText(gallery.labelWithUnit(x), (MARGIN.left + right) / 2, height - 2);
    pen.save();
    pen.translate(11, (MARGIN.top + bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textBaseline = "middle";
    pen.fillText(gallery.labelWithUnit(y), 0, 0);
    pen.restore();
  };

  /* A row's colour; those of a number in so many shades, so that points of one are drawn at once. */
  const shadeOf = () => {
    if (!colour) return () => gallery.css("--c0");
    if (colour.kind === "category") {
      const known = [-1, ...colour.levels.keys()].map(gallery.levelColour);
      return (row) => known[colour.values[row] + 1];
    }
    const known = Array.from({length: SHADES}, (_, i) => gallery.ramp(i / (SHADES - 1)));
    const none = gallery.css("--faint"), width = colour.high - colour.low;
    return (row) => {
      const value = colour.values[row];
      return value === null ? none : known[Math.min(SHADES - 1, Math.floor((value - colour.low) / width * SHADES))];
    };
  };

  const drawLegend = () => {
    if (!colour) { legend.replaceChildren(); return; }
    if (colour.kind === "category") {
      legend.replaceChildren(...colour.levels.map((level, i) => element("li", {},
        element("span", {class: "dot", style: `background:var(--c${i % 8})`}), level)));
      return;
    }
    const stops = Array.from({length: 9}, (_, i) => gallery.ramp(i / 8)).join(",");
    legend.replaceChildren(element("li", {}, gallery.labelWithUnit(colour), gallery.number(colour.low),
      element("span", {class: "ramp", style: `background:linear-gradient(90deg,${stops})`}), gallery.number(colour.high)));
  };

  const nearest = (px, py) => {
    let found = -1, best = NEAR * NEAR;
    for (const row of gallery.shown) {
      const dx = places.x[row] - px, dy = places.y[row] - py, distance = dx * dx + dy * dy;
      if (distance < best) { best = distance; found = row; }
    }
    return found;
  };

  const describe = (row) => {
    const phase = gallery.table.byName.get("phase");
    const parts = [`clip ${gallery.table.index[row]}`];
    if (phase) parts.push(gallery.value(phase, row));
    for (const column of [x, y]) parts.push(`${gallery.label(column)} ${gallery.valueWithUnit(column, row)}`);
    return parts;
  };

  const point = (row) => {
    if (row === current) return;
    current = row;
    draw();
    if (row < 0) { tip.hidden = true; return; }
    const {src, pictures} = gallery.thumbnail(row, "");
    const [name, ...rest] = describe(row);
    tip.replaceChildren(
      ...(src ? [element("span", {class: "frame", style: `--n:${pictures}`}, element("img", {src, alt: ""}))] : []),
      element("b", {}, name), ...rest.map((text) => element("div", {}, text)));
    tip.hidden = false;
    const left = places.x[row] + 12, top = places.y[row] - tip.offsetHeight / 2;
    tip.style.left = `${left + tip.offsetWidth > canvas.clientWidth ? left - 24 - tip.offsetWidth : left}px`;
    tip.style.top = `${Math.min(Math.max(top, 0), Math.max(0, canvas.clientHeight - tip.offsetHeight))}px`;
  };

  const inside = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pressed = inside(event);
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [px, py] = inside(event);
    const drawn = pressed && event.pointerType === "mouse" && Math.hypot(px - pressed[0], py - pressed[1]) > 6;
    brush.hidden = !drawn;
    if (drawn) {
      point(-1);
      brush.style.cssText = `left:${Math.min(px, pressed[0])}px;top:${Math.min(py, pressed[1])}px;`
        + `width:${Math.abs(px - pressed[0])}px;height:${Math.abs(py - pressed[1])}px`;
    } else point(nearest(px, py));
  });
  canvas.addEventListener("pointerup", (event) => {
    const [px, py] = inside(event);
    const drawn = !brush.hidden, from = pressed;
    brush.hidden = true;
    pressed = null;
    if (drawn && from) {
      const at = scales(), filters = {...gallery.wish.filters};
      const range = (scale, a, b) => {
        const [low, high] = [scale.back(a), scale.back(b)].sort((one, other) => one - other);
        return {from: Number(low.toPrecision(4)), to: Number(high.toPrecision(4))};
      };
      filters[x.name] = range(at.x, from[0], px);
      if (y !== x) filters[y.name] = range(at.y, from[1], py);
      gallery.ask({filters});
    } else if (from) {
      const row = nearest(px, py);
      if (row >= 0) gallery.ask({open: gallery.table.index[row]});
    }
  });
  canvas.addEventListener("pointercancel", () => { pressed = null; brush.hidden = true; });
  canvas.addEventListener("pointerleave", () => { if (!pressed) point(-1); });
  canvas.addEventListener("blur", () => point(-1));

  /* Arrow keys go to the next point along an axis. */
  canvas.addEventListener("keydown", (event) => {
    const along = {ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowDown: ["y", 1], ArrowUp: ["y", -1]}[event.key];
    if (along) {
      const [axis, step] = along;
      const rows = gallery.shown.filter((row) => !Number.isNaN(places.x[row]))
        .sort((a, b) => places[axis][a] - places[axis][b] || a - b);
      if (!rows.length) return;
      event.preventDefault();
      const at = rows.indexOf(current);
      point(rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)]);
      said.textContent = describe(current).join(", ");
    } else if (event.key === "Enter" && current >= 0) {
      event.preventDefault();
      gallery.ask({open: gallery.table.index[current]});
    } else if (event.key === "Escape") point(-1);
  });

  const chosen = (id, columns, key, none) => {
    const select = document.getElementById(id);
    const options = columns.map((column) => element("option", {value: column.name}, gallery.labelWithUnit(column)));
    select.replaceChildren(...(none ? [element("option", {value: ""}, none)] : []), ...options);
    select.onchange = () => gallery.ask({[key]: select.value});
    gallery.listen(id, () => { select.value = gallery.wish[key]; });
  };
  gallery.offerAxes = () => {
    chosen("plot-x", gallery.numbers(), "x");
    chosen("plot-y", gallery.numbers(), "y");
    chosen("plot-colour", gallery.table.columns.filter((column) => column.differs), "colour", "none");
  };
  gallery.offerAxes();

  gallery.listen("plot", (changes) => {
    const asked = Object.keys(changes);
    if (asked.length && asked.every((key) => key === "open")) return;
    const {table, wish} = gallery;
    [x, y, colour] = [wish.x, wish.y, wish.colour].map((name) => table.byName.get(name) ?? null);
    current = -1;
    tip.hidden = true;
    canvas.setAttribute("aria-label", x && y
      ? `${gallery.label(y)} against ${gallery.label(x)}: ${gallery.shown.length} clips` : "no numbers to plot");
    drawLegend();
    draw();
  });
  new ResizeObserver(draw).observe(area);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
};
