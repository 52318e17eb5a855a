"use strict";
/* Puts the page together when the table of clips has come. */

gallery.start = () => {
  const {table} = gallery;
  document.title = table.index.length ? `${table.name}: clips` : table.name;
  document.getElementById("title").textContent = table.name;
  if (table.live) gallery.follow();
  if (table.index.length) gallery.showClips();
};

/* Everything below the status: built once, when there is a first clip. */
gallery.showClips = () => {
  const byId = (id) => document.getElementById(id);
  gallery.setDefaults();
  byId("columns").hidden = false;
  byId("live-clips").hidden = true;
  gallery.buildFilters(byId("filter-list"));
  gallery.buildChips(byId("chips"));
  gallery.buildPlot();
  gallery.buildGrid(byId("grid"));
  gallery.buildClip();
  gallery.offerOrders();
  byId("show").addEventListener("change", (event) => gallery.ask({show: event.target.value}));
  byId("sort").addEventListener("change", (event) => gallery.ask({sort: event.target.value}));
  byId("sort-order").addEventListener("click", () => gallery.ask({descending: !gallery.wish.descending}));
  byId("none-clear").addEventListener("click", gallery.clearFilters);

  const wide = matchMedia("(min-width: 900px)");
  const fold = () => { byId("filters").open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();

  gallery.listen("counts", () => {
    const {table, wish} = gallery;
    const all = table.index.length, shown = gallery.shown.length;
    byId("count").textContent = shown === all ? `${all} clip${all === 1 ? "" : "s"}` : `${shown} of ${all} clips`;
    byId("none").hidden = shown > 0 || all === 0;
    byId("plot-section").hidden = !gallery.numbers().length;
    byId("sort").value = wish.sort;
    byId("show").value = wish.show;
    byId("sort-order").setAttribute("aria-pressed", String(wish.descending));
  });
  gallery.showFailures(gallery.table.failures);
  addEventListener("hashchange", () => gallery.ask(gallery.fromAddress(), {keepAddress: true}));
  gallery.ask(gallery.fromAddress(), {keepAddress: true});
};

/* The first plot: what became of the push against the first factor that differs. */
gallery.setDefaults = () => {
  const {table} = gallery, numbers = gallery.numbers();
  const named = (name) => numbers.find((column) => column.name === name);
  const full = (column) => column && column.values.filter((value) => value !== null).length * 2 > table.index.length;
  const x = named("friction") ?? numbers.find((column) => column.role === "factor") ?? numbers[0];
  const stopping = named("stopping_distance");
  const outcomes = [full(stopping) ? stopping : undefined, named("distance"), ...numbers.filter(({role}) => role === "outcome")];
  const y = [...outcomes, ...numbers].find((column) => column && column !== x) ?? x; // without factors, x is an outcome
  const colour = table.byName.get("phase")?.differs ? "phase" : "";
  Object.assign(gallery.defaults, {x: x?.name ?? "", y: y?.name ?? "", colour});
  if (table.live) Object.assign(gallery.defaults, {sort: "finished", descending: true});
};

gallery.offerOrders = () => {
  const {table, element} = gallery;
  const options = [["", "number"], ...(table.finished ? [["finished", "time of completion"]] : []),
    ...gallery.numbers().map((column) => [column.name, gallery.labelWithUnit(column)])];
  const sets = (table.features ?? []).map(({name}) => element("option", {value: name}, name));
  document.getElementById("show").replaceChildren(element("option", {value: ""}, "frames"), ...sets);
  document.getElementById("show-label").hidden = !sets.length;
  document.getElementById("sort").replaceChildren(...options.map(([value, text]) => element("option", {value}, text)));
};

/* Clips that are not there, those with the same reason in one line. */
gallery.showFailures = (all) => {
  const {element} = gallery;
  // While a run goes on, its own card names those that failed.
  const failures = gallery.table.live ? all.filter(({stage}) => stage === "read") : all;
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
