"use strict";
/* One clip: its frames, its path, and all that is true of it. */

gallery.buildClip = () => {
  const {element} = gallery;
  const byId = (id) => document.getElementById(id);
  const dialog = byId("clip"), picture = byId("clip-picture"), slider = byId("clip-frame"), play = byId("clip-play");
  const SVG = "http://www.w3.org/2000/svg";
  let row = -1, truth = null, timer = 0, fromStrip = false;

  const rate = () => 1000 / Math.min(Math.max(truth?.fps ?? 12, 1), 30);
  const frames = () => Math.max(1, fromStrip ? gallery.table.strip[row] : gallery.table.frames[row]);

  const show = (frame) => {
    slider.value = frame;
    byId("clip-at").textContent = `${frame + 1} / ${frames()}`;
    if (fromStrip) picture.style.transform = `translateX(${-100 * frame / frames()}%)`;
    else if (gallery.table.frames[row]) picture.src = gallery.frame(row, frame);
    for (const image of byId("clip-features").querySelectorAll("img")) { // features have fewer time steps than frames
      const steps = gallery.pictures(image), at = Math.min(steps - 1, Math.floor(frame * steps / frames()));
      image.style.transform = `translateX(${-100 * at / steps}%)`;
    }
    mark(fromStrip && truth ? Math.round(frame * ((truth.paths[0]?.length ?? 1) - 1) / Math.max(1, frames() - 1)) : frame);
  };
  const pause = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    pause();
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    timer = setInterval(() => show((Number(slider.value) + 1) % frames()), rate());
  };
  play.addEventListener("click", () => { if (timer) pause(); else start(); });
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });

  /* A page that was moved away from its run has no frames any more, but still the strip. */
  picture.addEventListener("error", () => {
    const pictures = row < 0 ? 0 : gallery.table.strip[row];
    if (fromStrip || !pictures) return;
    fromStrip = true;
    const at = Number(slider.value);
    slider.max = pictures - 1;
    picture.src = gallery.thumbnail(row).src;
    picture.style.setProperty("--n", pictures);
    show(Math.min(at, pictures - 1));
  });

  const svg = (tag, attributes) => {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    return shape;
  };
  let dots = []; // of each body, the shape that shows its place
  let view = [0, 1]; // axes that are drawn, across and up
  /* The paths of all bodies: from above, or from the side if they move up and down. */
  const drawPath = () => {
    const paths = (truth?.paths ?? []).filter((path) => path.some(Boolean));
    byId("clip-path-figure").hidden = !paths.length;
    dots = [];
    if (!paths.length) return;
    const spread = (axis) => {
      const values = paths.flat().filter(Boolean).map((place) => place[axis] ?? 0);
      return [Math.min(...values), Math.max(...values)];
    };
    const extent = (axis) => spread(axis)[1] - spread(axis)[0];
    const aside = extent(2) > Math.max(extent(1), 0.05);
    view = aside ? [0, 2] : [0, 1];
    const half = aside ? null : truth.truth?.arena?.halfSize;
    const [[left, right], [low, high]] = view.map(spread);
    const middle = half ? [0, 0] : [(left + right) / 2, -(low + high) / 2]; // up is less, in a picture
    const reach = half ?? Math.max(0.05, (right - left) / 2, (high - low) / 2);
    const room = reach * 1.12, thin = room / 70;
    const plane = byId("clip-path");
    plane.setAttribute("viewBox", `${middle[0] - room} ${middle[1] - room} ${2 * room} ${2 * room}`);
    plane.setAttribute("aria-label", `Path of ${paths.length === 1 ? "the object" : "the objects"}, seen from ${aside ? "the side" : "above"}`);
    byId("clip-path-note").textContent = aside ? "The path from the side, with the place in this frame."
      : "The path from above, with the place in this frame.";
    const shapes = half ? [svg("rect", {class: "wall", x: -half, y: -half, width: 2 * half, height: 2 * half, "stroke-width": thin})] : [];
    paths.forEach((path, body) => {
      const points = path.filter(Boolean).map(across);
      const colour = `stroke:var(--c${body % 8})`;
      shapes.push(svg("polyline", {class: "way", points: points.join(" "), "stroke-width": thin}),
        svg("circle", {class: "from", cx: points[0][0], cy: points[0][1], r: thin * 1.8, "stroke-width": thin}));
      shapes.slice(-2).forEach((shape) => { shape.style.cssText = colour; });
      const dot = svg("circle", {class: "at", r: thin * 2.6});
      dot.style.cssText = `fill:var(--c${body % 8})`;
      dots.push([dot, path]);
    });
    plane.replaceChildren(...shapes, ...dots.map(([dot]) => dot));
  };
  const across = (place) => [place[view[0]], -place[view[1]]];
  const mark = (frame) => {
    for (const [dot, path] of dots) {
      const place = path[frame];
      dot.style.display = place ? "" : "none";
      if (!place) continue;
      const [x, y] = across(place);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
    }
  };

  /* A document as lines of place and value. */
  const lines = (value, place = "") => {
    if (Array.isArray(value) && value.every((each) => typeof each !== "object" || each === null)) {
      return [[place, value.map(gallery.number).join(", ")]];
    }
    if (Array.isArray(value) && value.flat(Infinity).length <= 24 && value.every(Array.isArray)) {
      return [[place, value.map((each) => `(${each.map(gallery.number).join(", ")})`).join(" ")]];
    }
    if (value !== null && typeof value === "object") {
      return Object.entries(value).flatMap(([key, inner]) => lines(inner, place ? `${place}.${key}` : key));
    }
    return [[place, gallery.number(value)]];
  };
  const drawnFirst = (all) => { // what was drawn differs from clip to clip, the rest hardly does
    const drawn = ([place]) => gallery.table.byName.has(place);
    return [...all.filter(drawn), ...all.filter((line) => !drawn(line))];
  };
  const fill = (table, pairs) => table.replaceChildren(element("tbody", {}, ...pairs.map(([name, text]) =>
    element("tr", {}, element("th", {scope: "row"}, name), element("td", {}, text)))));
  const unitOf = (name) => {
    const unit = gallery.table.byName.get(name)?.unit;
    return unit ? ` ${unit}` : "";
  };
  const withUnit = ([name, value]) => [name.replaceAll("_", " "), gallery.number(value) + unitOf(name)];

  const open = async (index) => {
    row = gallery.table.rowOf.get(index) ?? -1;
    if (row < 0) return;
    pause();
    truth = null;
    fromStrip = false;
    picture.style.cssText = "";
    const phase = gallery.table.byName.get("phase");
    byId("clip-title").textContent = `${gallery.clipName(index)}${phase ? ` · ${gallery.value(phase, row)}` : ""}`;
    picture.alt = `Frame of clip ${index}`;
    slider.max = Math.max(0, gallery.table.frames[row] - 1);
    const folder = `${gallery.table.run}/${gallery.clipName(index)}`;
    byId("clip-links").replaceChildren(...["ground_truth.json", "clip.json", ...(gallery.table.live ? [] : [""])].map((name) =>
      element("a", {href: `${folder}/${name}`}, name || "folder")));
    const position = gallery.shown.indexOf(row);
    byId("clip-before").disabled = position <= 0;
    byId("clip-after").disabled = position < 0 || position + 1 >= gallery.shown.length;
    const sets = (gallery.table.features ?? []).filter(({there}) => there[row]);
    byId("clip-features").replaceChildren(...sets.map(({name}) => {
      const image = element("img", {alt: `Features ${name} as colours`, src: gallery.thumbnail(row, name).src});
      const frame = element("span", {class: "frame"}, image);
      image.onload = () => frame.style.setProperty("--n", gallery.pictures(image));
      return element("figure", {}, frame, element("figcaption", {class: "hint"}, name));
    }));
    if (!gallery.table.frames[row]) picture.removeAttribute("src");
    show(0);
    if (!dialog.open) dialog.showModal();
    try {
      truth = await gallery.truth(index);
    } catch (error) {
      fill(byId("clip-truth"), [["truth", error.message]]);
    }
    if (gallery.wish.open !== index) return; // another one was opened meanwhile
    fill(byId("clip-outcomes"), Object.entries(truth?.outcomes ?? {}).map(withUnit));
    if (truth) fill(byId("clip-truth"), drawnFirst(lines(truth.truth)).map(([place, text]) => [place, text + unitOf(place)]));
    drawPath();
    show(0);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) start();
  };

  const step = (by) => {
    const next = gallery.shown[gallery.shown.indexOf(row) + by];
    if (next !== undefined && gallery.shown.includes(row)) gallery.ask({open: gallery.table.index[next]});
  };
  byId("clip-before").addEventListener("click", () => step(-1));
  byId("clip-after").addEventListener("click", () => step(1));
  byId("clip-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target === slider) return; // its arrow keys go from frame to frame
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === " " && event.target === dialog) { event.preventDefault(); play.click(); }
  });
  dialog.addEventListener("close", () => {
    pause();
    const was = row;
    gallery.ask({open: null});
    gallery.focusClip(was);
  });

  gallery.listen("clip", (changes) => {
    if (!("open" in changes)) return;
    if (gallery.wish.open === null) { if (dialog.open) dialog.close(); } else open(gallery.wish.open);
  });
};
