"use strict";
/* The page while a run goes on: asks for the status of the runs, and for clips when there are more of them. */

gallery.follow = () => {
  const {element} = gallery;
  const byId = (id) => document.getElementById(id);
  const ASK = 2000, ASK_FOR_CLIPS = 5000; // milliseconds
  let clipsAt = performance.now(), known = gallery.table.index.length, more = gallery.table.more, answered = new Date();

  byId("live").hidden = false;
  byId("live-clips").hidden = gallery.table.index.length > 0 || !gallery.table.finished;

  const ask = async () => {
    if (!document.hidden) {
      try {
        const {runs} = await read("live.json");
        answered = new Date();
        show(runs);
        const rendered = runs.reduce((sum, run) => sum + (run.rendered ?? 0), 0);
        const due = performance.now() - clipsAt > ASK_FOR_CLIPS;
        if (gallery.table.finished && (more || due && rendered !== known)) { // a cluster's operator has no clips to show
          await clips();
          if (!more) known = rendered;
        }
        byId("live-lost").hidden = true;
      } catch {
        byId("live-lost").textContent = `No answer since ${answered.toLocaleTimeString()}: the run has ended, or it cannot`
          + " be reached. Below is what it reported last.";
        byId("live-lost").hidden = false;
      }
    }
    setTimeout(ask, more ? 200 : ASK);
  };
  const read = async (path) => {
    const answer = await fetch(path, {cache: "no-store"});
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  };

  const clips = async () => {
    const table = await read("data/clips.json");
    clipsAt = performance.now();
    more = table.more;
    const first = !gallery.table.index.length;
    gallery.take(table);
    if (!table.index.length) return;
    if (first) { gallery.showClips(); return; }
    if (!byId("filter-list").contains(document.activeElement)) gallery.buildFilters(byId("filter-list"));
    gallery.offerAxes();
    gallery.offerOrders();
    gallery.setDefaults();
    gallery.showFailures(table.failures);
    gallery.ask({}, {keepAddress: true});
  };

  const show = (runs) => {
    byId("live-runs").replaceChildren(...(runs.length ? runs.map(card) : [element("p", {class: "hint run"}, "No run is known.")]));
  };

  const card = (run) => {
    const name = run.namespace ? `${run.namespace}/${run.name}` : run.name;
    const rate = run.clipsPerHour ? [`${gallery.number(Math.round(run.clipsPerHour * 10) / 10)} clips an hour`] : [];
    const facts = [
      run.workers === null ? `${run.running} workers busy` : `${run.running} of ${run.workers} workers busy`, ...rate, ...(run.eta ? [`${run.eta} left`] : []),
      ...(run.retrying ? [`${run.retrying} to be tried again`] : []),
      ...(run.failed ? [`${run.failed} failed`] : []),
    ];
    return element("article", {class: "run", "aria-label": `Run ${name}`},
      element("h2", {}, name, " ", element("span", {class: `phase ${/Fail|Invalid/.test(run.phase) ? "bad" : ""}`}, run.phase)),
      ...(run.message ? [element("p", {class: "message"}, run.message)] : []),
      ...(run.rendered === null ? [] : [bar("rendered", run.rendered, run.total)]),
      ...(run.encoded === null ? [] : [bar("encoded", run.encoded, run.total)]),
      ...(run.finished ? [] : [element("p", {class: "facts"}, facts.join(" · "))]),
      ...lines("Held", ["Clips", "Reason", ""], run.held.map((held) => [spaced(held.clips), held.reason, held.message])),
      ...lines("GPUs", ["GPU", "Memory", ""], run.gpus.map((gpu) => [gpu.name,
        gpu.used === null ? "unknown" : `${Math.round(gpu.used * 100)} % of ${gpu.total}`,
        [gpu.closed ? "closed" : "open", gpu.note, gpu.heldBy].filter(Boolean).join("; ")])),
      ...(run.moreGpus ? [element("p", {class: "facts"}, `and ${run.moreGpus}`)] : []),
      ...lines("Failed", ["Clips", "Stage", "Reason"], run.failures.map((each) => [spaced(each.clips), each.stage, each.reason])));
  };

  const spaced = (clips) => clips.replaceAll(",", ", "); // so that many of them fit on several lines

  const bar = (name, done, total) => element("div", {class: "progress"},
    element("span", {}, name),
    element("progress", {max: Math.max(1, total), value: done, "aria-label": name}),
    element("span", {class: "number"}, `${done} / ${total}`));

  const lines = (title, heads, rows) => rows.length ? [element("table", {},
    element("caption", {}, title),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {scope: "col"}, head)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((text) => element("td", {}, text))))))] : [];

  ask();
};
