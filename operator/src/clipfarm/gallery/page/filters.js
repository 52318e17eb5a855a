"use strict";
/* The filters: words as boxes to tick, numbers as two ends below a histogram in which a range can be drawn. */

gallery.buildFilters = (place) => {
  const {table, element} = gallery;
  const refreshers = [];
  const find = element("input", {type: "text", placeholder: "42, 100-199", spellcheck: "false", autocomplete: "off"});
  find.addEventListener("input", () => gallery.ask({clips: find.value}));
  refreshers.push(() => { if (find !== document.activeElement) find.value = gallery.wish.clips; });
  place.replaceChildren(element("label", {class: "find"}, "Clips by number", find));

  const groups = {group: "", factor: "Factors", outcome: "Outcomes"};
  for (const [role, title] of Object.entries(groups)) {
    const columns = table.columns.filter((column) => column.role === role && column.differs);
    if (!columns.length) continue;
    const parts = columns.map((column) => {
      const [fieldset, refresh] = column.kind === "category" ? words(column) : numbers(column);
      refreshers.push(refresh);
      return fieldset;
    });
    if (title) place.append(element("details", {open: role === "factor"}, element("summary", {}, title), ...parts));
    else place.append(...parts);
  }
  gallery.listen("filters", () => refreshers.forEach((refresh) => refresh()));

  function words(column) {
    const boxes = column.levels.map((level, i) => {
      const box = element("input", {type: "checkbox"});
      const number = element("span", {class: "number"});
      box.addEventListener("change", () => {
        const ticked = column.levels.filter((_, j) => boxes[j].box.checked);
        gallery.filter(column.name, ticked.length && ticked.length < column.levels.length ? {levels: ticked} : null);
      });
      const dot = column.name === "phase" ? [element("span", {class: "dot", style: `background:var(--c${i % 8})`})] : [];
      return {box, number, label: element("label", {class: "level"}, box, ...dot, level, number)};
    });
    const counts = column.levels.map((_, i) => column.values.filter((value) => value === i).length);
    boxes.forEach(({number}, i) => { number.textContent = counts[i]; });
    const refresh = () => {
      const wanted = gallery.wish.filters[column.name]?.levels;
      column.levels.forEach((level, i) => { boxes[i].box.checked = wanted?.includes(level) ?? false; });
    };
    const legend = element("legend", {}, gallery.label(column));
    return [element("fieldset", {}, legend, ...boxes.map(({label}) => label)), refresh];
  }

  function numbers(column) {
    const BARS = 40;
    const bar = (value) => Math.min(BARS - 1, Math.floor((value - column.low) / (column.high - column.low) * BARS));
    const count = (rows) => {
      const counts = new Array(BARS).fill(0);
      for (const row of rows) if (column.values[row] !== null) counts[bar(column.values[row])]++;
      return counts;
    };
    const all = count(column.values.keys());
    const highest = Math.max(...all);
    const path = (counts) => counts.map((n, i) => n ? `M${i} 1v${-Math.max(n / highest, 0.03)}h.9V1z` : "").join("");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "bars");
    svg.setAttribute("viewBox", `0 0 ${BARS} 1`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const [behind, front] = ["all", "shown"].map((name) => {
      const shape = document.createElementNS(svg.namespaceURI, "path");
      shape.setAttribute("class", name);
      svg.append(shape);
      return shape;
    });
    behind.setAttribute("d", path(all));

    const name = gallery.label(column);
    const ends = ["from", "to"].map((end) => element("input", {
      type: "number", step: "any", "aria-label": `${name} ${end}`,
      placeholder: gallery.number(end === "from" ? column.low : column.high),
    }));
    const read = (input) => input.value === "" ? null : Number(input.value);
    const set = (from, to) => gallery.filter(column.name, from === null && to === null ? null : {from, to});
    for (const input of ends) input.addEventListener("change", () => set(read(ends[0]), read(ends[1])));

    let begun = null;
    const at = (event) => {
      const box = svg.getBoundingClientRect();
      const part = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      return Number((column.low + part * (column.high - column.low)).toPrecision(4));
    };
    svg.addEventListener("pointerdown", (event) => { begun = at(event); svg.setPointerCapture(event.pointerId); });
    svg.addEventListener("pointerup", (event) => {
      const ended = at(event);
      if (begun !== null && begun !== ended) set(Math.min(begun, ended), Math.max(begun, ended));
      begun = null;
    });

    const refresh = () => {
      const wanted = gallery.wish.filters[column.name];
      ends[0].value = wanted?.from ?? "";
      ends[1].value = wanted?.to ?? "";
      front.setAttribute("d", path(count(gallery.shown)));
    };
    const unit = column.unit ? [element("span", {class: "unit"}, ` ${column.unit}`)] : [];
    const legend = element("legend", {}, name, ...unit);
    return [element("fieldset", {}, legend, svg, element("div", {class: "ends"}, ...ends)), refresh];
  }
};

/* Filters that are on, each with a button that takes it off. */
gallery.buildChips = (place) => {
  const {element} = gallery;
  gallery.listen("chips", () => {
    const {filters, clips} = gallery.wish;
    const chips = Object.entries(filters).map(([name, wanted]) => {
      const column = gallery.table.byName.get(name);
      const label = column ? gallery.label(column) : name;
      if (wanted.levels) return [`${label}: ${wanted.levels.join(", ")}`, () => gallery.filter(name, null)];
      const from = wanted.from ?? null, to = wanted.to ?? null;
      const range = from === null ? `up to ${gallery.number(to)}`
        : to === null ? `from ${gallery.number(from)}` : `${gallery.number(from)} to ${gallery.number(to)}`;
      return [`${label} ${range}`, () => gallery.filter(name, null)];
    });
    if (clips.trim()) chips.push([`clips ${clips}`, () => gallery.ask({clips: ""})]);
    if (chips.length > 1) chips.push(["Clear all", gallery.clearFilters]);
    place.replaceChildren(...chips.map(([text, remove]) => element("li", {}, element("button", {
      type: "button", onclick: remove, "aria-label": text === "Clear all" ? text : `Remove filter ${text}`,
    }, text === "Clear all" ? text : `${text} ×`))));
  });
};
gallery.clearFilters = () => gallery.ask({filters: {}, clips: ""});
