"use strict";
/* What the page knows: the table of clips, what the user asks for, and which clips that leaves.

   A clip is named by its row in the table; `table.index[row]` is its number in the run. */

const gallery = {
  table: null,
  shown: [],   // rows that fit the filters, in the order of the grid
  fits: null,  // Uint8Array: whether a row fits
  wish: {      // what the user asks for; all of it is in the address, so that a view can be kept and sent
    filters: {}, // column -> {levels: [...]} or {from, to}
    clips: "",
    sort: "", descending: false,
    show: "",    // a feature set in place of the frames
    x: "", y: "", colour: "phase",
    open: null,  // number of the clip that is open
  },
  listeners: new Map(),
};

/* Have a part of the page follow every change; a part that is built anew takes its former place. */
gallery.listen = (part, listener) => gallery.listeners.set(part, listener);

/* Data comes as scripts that call this: a page that was opened as a file cannot read other files. */
gallery.receive = (kind, value) => gallery[`receive_${kind}`](value);

gallery.receive_clips = (table) => {
  gallery.take(table);
  gallery.start();
};
gallery.take = (table) => {
  table.byName = new Map(table.columns.map((column) => [column.name, column]));
  table.rowOf = new Map(table.index.map((index, row) => [index, row]));
  for (const column of table.columns) gallery.measure(column);
  gallery.table = table;
};

/* Add a column's bounds, and whether its values differ: a constant is of no use as a filter or an axis. */
gallery.measure = (column) => {
  if (column.kind === "category") {
    column.differs = new Set(column.values).size > 1;
    return;
  }
  let low = Infinity, high = -Infinity;
  for (const value of column.values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  Object.assign(column, {low, high, differs: low < high});
};

gallery.numbers = () => gallery.table.columns.filter((column) => column.kind === "number" && column.differs);

/* Change what is asked for, and let everything that shows it follow. */
gallery.ask = (changes, {keepAddress = false} = {}) => {
  Object.assign(gallery.wish, changes);
  gallery.choose();
  if (!keepAddress) gallery.keepInAddress();
  for (const listener of gallery.listeners.values()) listener(changes);
};

gallery.filter = (name, wanted) => {
  const filters = {...gallery.wish.filters};
  if (wanted === null) delete filters[name]; else filters[name] = wanted;
  gallery.ask({filters});
};

/* Work out which rows fit, and their order. */
gallery.choose = () => {
  const {table, wish} = gallery;
  const rows = table.index.length;
  const fits = new Uint8Array(rows).fill(1);
  for (const [name, wanted] of Object.entries(wish.filters)) {
    const column = table.byName.get(name);
    if (!column) continue;
    const {values} = column;
    if (column.kind === "category") {
      const levels = new Set(wanted.levels.map((level) => column.levels.indexOf(level)));
      for (let row = 0; row < rows; row++) if (!levels.has(values[row])) fits[row] = 0;
    } else {
      const from = wanted.from ?? -Infinity, to = wanted.to ?? Infinity;
      for (let row = 0; row < rows; row++) {
        const value = values[row];
        if (value === null || value < from || value > to) fits[row] = 0;
      }
    }
  }
  const ranges = gallery.ranges(wish.clips);
  if (ranges) {
    for (let row = 0; row < rows; row++) {
      const index = table.index[row];
      if (!ranges.some(([first, last]) => index >= first && index <= last)) fits[row] = 0;
    }
  }
  const shown = [];
  for (let row = 0; row < rows; row++) if (fits[row]) shown.push(row);
  const by = wish.sort === "finished" && table.finished ? {values: table.finished} : table.byName.get(wish.sort);
  const sign = wish.descending ? -1 : 1;
  if (by) {
    const {values} = by; // what has no value comes last, in either order
    shown.sort((a, b) => {
      if (values[a] === values[b]) return a - b;
      if (values[a] === null) return 1;
      if (values[b] === null) return -1;
      return sign * (values[a] - values[b]);
    });
  } else if (wish.descending) shown.reverse();
  Object.assign(gallery, {fits, shown});
};

/* "7, 20-29, clip_00042" as pairs of first and last; null if nothing is asked for. */
gallery.ranges = (text) => {
  const found = [];
  for (const part of text.split(/[\s,;]+/)) {
    const match = /^(?:clip_)?(\d+)(?:[-–](?:clip_)?(\d+))?$/.exec(part);
    if (match) found.push([Number(match[1]), Number(match[2] ?? match[1])]);
  }
  return text.trim() ? found : null;
};

/* The truth of a clip, from a file that many share. */
gallery.truths = new Map();
gallery.receive_truth = (clips) => {
  for (const [index, truth] of Object.entries(clips)) gallery.truths.set(Number(index), truth);
};
gallery.truth = (index) => new Promise((resolve, reject) => {
  if (gallery.truths.has(index)) { resolve(gallery.truths.get(index)); return; }
  const number = String(Math.floor(index / gallery.table.clipsAFile)).padStart(5, "0");
  const script = document.createElement("script");
  script.src = `data/truth-${number}.js`;
  script.onload = () => { script.remove(); resolve(gallery.truths.get(index) ?? null); };
  script.onerror = () => { script.remove(); reject(new Error(`${script.src} cannot be read`)); };
  document.head.append(script);
});

/* The address holds what differs from the defaults. */
gallery.defaults = structuredClone(gallery.wish);
gallery.keepInAddress = () => {
  const kept = {};
  for (const [key, value] of Object.entries(gallery.wish)) {
    if (JSON.stringify(value) !== JSON.stringify(gallery.defaults[key])) kept[key] = value;
  }
  const hash = Object.keys(kept).length ? `#${encodeURIComponent(JSON.stringify(kept))}` : "";
  history.replaceState(null, "", hash || location.pathname + location.search);
};
gallery.fromAddress = () => {
  try {
    const kept = JSON.parse(decodeURIComponent(location.hash.slice(1) || "{}"));
    const known = Object.fromEntries(Object.entries(kept).filter(([key]) => key in gallery.defaults));
    return {...structuredClone(gallery.defaults), ...known};
  } catch { return structuredClone(gallery.defaults); } // an address that something else has written
};
