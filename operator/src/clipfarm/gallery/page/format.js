"use strict";
/* Numbers, names and colours as people read them. */

gallery.number = (value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (value === 0 || Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
};

gallery.label = (column) => column.name.replaceAll("_", " ").replaceAll(".", " ");
gallery.labelWithUnit = (column) => gallery.label(column) + (column.unit ? ` (${column.unit})` : "");
gallery.clipName = (index) => `clip_${String(index).padStart(5, "0")}`;

gallery.value = (column, row) => {
  const value = column.values[row];
  if (column.kind === "category") return value < 0 ? "–" : column.levels[value];
  return gallery.number(value);
};
gallery.valueWithUnit = (column, row) => {
  const text = gallery.value(column, row);
  return column.unit && text !== "–" ? `${text} ${column.unit}` : text;
};

gallery.css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
gallery.levelColour = (level) => gallery.css(level < 0 ? "--faint" : `--c${level % 8}`);

/* Five stops of viridis (CC0), from dark to light: equal steps look equal, also without colour vision. */
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
gallery.ramp = (part) => {
  const at = Math.min(Math.max(part, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  const mix = RAMP[low].map((from, i) => Math.round(from + (RAMP[low + 1][i] - from) * (at - low)));
  return `rgb(${mix.join(" ")})`;
};

/* An element with text and attributes; text is never read as HTML. */
gallery.element = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "style") element.style.cssText = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
};

/* [1, 2, 3, 7] as "1-3, 7". */
gallery.compress = (indexes) => {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts = [];
  for (let i = 0; i < sorted.length; i++) {
    let end = i;
    while (end + 1 < sorted.length && sorted[end + 1] === sorted[end] + 1) end++;
    parts.push(end > i ? `${sorted[i]}-${sorted[end]}` : String(sorted[i]));
    i = end;
  }
  return parts.join(", ");
};

/* A clip's strip of small pictures, or its first frame if it has none; features, if they are to be shown. */
gallery.thumbnail = (row, show = gallery.wish.show) => {
  const {table} = gallery;
  const place = `${String(Math.floor(table.index[row] / 1000)).padStart(3, "0")}/${table.index[row]}.webp`;
  const set = table.features?.find(({name}) => name === show);
  if (set?.there[row]) return {src: `features/${encodeURIComponent(set.name)}/${place}`, pictures: 1, measured: true};
  if (table.strip[row]) return {src: `strips/${place}`, pictures: table.strip[row]};
  return {src: table.frames[row] ? gallery.frame(row, 0) : "", pictures: 1};
};
/* The number of square pictures in a strip that has been loaded. */
gallery.pictures = (image) => Math.max(1, Math.round(image.naturalWidth / image.naturalHeight));
gallery.frame = (row, frame) => {
  const name = `frame_${String(frame).padStart(5, "0")}.png`;
  return `${gallery.table.run}/${gallery.clipName(gallery.table.index[row])}/rgb/${name}`;
};
