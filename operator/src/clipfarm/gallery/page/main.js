"use strict";
/* Puts the page together when the table of clips has come. */

gallery.start = () => {
  const byId = (id) => document.getElementById(id);
  const {table, element} = gallery;
  document.title = `${table.name}: clips`;
  byId("title").textContent = table.name;

  /* The first plot: what became of the push against the first factor that differs. */
  const numbers = gallery.numbers();
  const named = (...names) => names.map((name) => numbers.find((column) => column.name === name)).find(Boolean);
  const full = (column) => column && column.values.filter((value) => value !== null).length * 2 > table.index.length;
  const x = named("friction") ?? numbers.find((column) => column.role === "factor") ?? numbers[0];
  const stopping = named("stopping_distance");
  const y = (full(stopping) ? stopping : named("distance")) ?? numbers.find((column) => column !== x) ?? x;
  Object.assign(gallery.defaults, {x: x?.name ?? "", y: y?.name ?? "", colour: table.byName.get("phase")?.differs ? "phase" : ""});

  gallery.buildFilters(byId("filter-list"));
  gallery.buildChips(byId("chips"));
  byId("columns").hidden = false;
  if (numbers.length) gallery.buildPlot(); else document.querySelector(".plot").hidden = true;
  gallery.buildGrid(byId("grid"));
  gallery.buildClip();

  const sort = byId("sort"), order = byId("sort-order");
  sort.replaceChildren(element("option", {value: ""}, "number"),
    ...numbers.map((column) => element("option", {value: column.name}, gallery.labelWithUnit(column))));
  sort.addEventListener("change", () => gallery.ask({sort: sort.value}));
  order.addEventListener("click", () => gallery.ask({descending: !gallery.wish.descending}));
  byId("none-clear").addEventListener("click", gallery.clearFilters);

  const wide = matchMedia("(min-width: 900px)");
  const fold = () => { byId("filters").open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();

  gallery.showFailures(table.failures);
  gallery.listeners.push(() => {
    const all = table.index.length, shown = gallery.shown.length;
    byId("count").textContent = shown === all ? `${all} clips` : `${shown} of ${all} clips`;
    byId("none").hidden = shown > 0 || all === 0;
    sort.value = gallery.wish.sort;
    order.setAttribute("aria-pressed", String(gallery.wish.descending));
  });
  addEventListener("hashchange", () => gallery.ask(gallery.fromAddress(), {keepAddress: true}));
  gallery.ask(gallery.fromAddress(), {keepAddress: true});
};

/* Clips that are not there, those with the same reason in one line. */
gallery.showFailures = (failures) => {
  const {element} = gallery;
  const groups = new Map();
  for (const {index, stage, reason} of failures) {
    const key = `${stage}\n${reason}`;
    if (!groups.has(key)) groups.set(key, {stage, reason, clips: []});
    groups.get(key).clips.push(index);
  }
  document.getElementById("failures").hidden = !failures.length;
  document.getElementById("failures-title").textContent = failures.length === 1 ? "1 failure" : `${failures.length} failures`;
  document.getElementById("failure-rows").replaceChildren(...[...groups.values()].map(({stage, reason, clips}) =>
    element("tr", {}, element("td", {}, gallery.compress(clips)), element("td", {}, stage), element("td", {}, reason))));
};

addEventListener("load", () => {
  if (gallery.table) return;
  const trouble = document.getElementById("trouble");
  trouble.textContent = "data/clips.js cannot be read. It lies beside this page; run clipfarm gallery again.";
  trouble.hidden = false;
});
