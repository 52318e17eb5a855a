"use strict";
/* The grid of clips. Only rows of it that can be seen are in the document, however many clips there are.

   One card takes part in the order of the Tab key; arrow keys move on from it. It stays in the document when it is
   scrolled away, so that the keyboard does not lose its place. */

gallery.buildGrid = (place) => {
  const {element} = gallery;
  const GAP = 8, CAPTION = 46, OVERSCAN = 2;
  const cells = new Map(); // position -> {cell, card, row}
  let columns = 1, side = 0, active = 0, frame = 0;

  const measure = () => {
    const width = place.clientWidth;
    columns = Math.max(2, Math.floor((width + GAP) / (132 + GAP)));
    side = (width - (columns - 1) * GAP) / columns;
    place.style.height = `${Math.ceil(gallery.shown.length / columns) * height()}px`;
  };
  const height = () => side + CAPTION + GAP;

  const draw = () => {
    frame = 0;
    const top = place.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / height()) - OVERSCAN) * columns;
    const last = Math.min(gallery.shown.length, (Math.ceil((innerHeight - top) / height()) + OVERSCAN) * columns);
    for (const [position, {cell}] of cells) {
      if ((position < first || position >= last) && position !== active) { cell.remove(); cells.delete(position); }
    }
    for (let position = first; position < last; position++) put(position);
    if (active < gallery.shown.length) put(active);
  };
  const drawSoon = () => { frame ||= requestAnimationFrame(draw); };

  const put = (position) => {
    const row = gallery.shown[position];
    let known = cells.get(position);
    if (known && known.row !== row) { known.cell.remove(); cells.delete(position); known = undefined; }
    if (!known) {
      known = make(row, position);
      cells.set(position, known);
      place.append(known.cell);
    }
    const x = (position % columns) * (side + GAP), y = Math.floor(position / columns) * height();
    known.cell.style.cssText = `transform:translate(${x}px,${y}px);width:${side}px;height:${height() - GAP}px`;
    known.card.tabIndex = position === active ? 0 : -1;
  };

  const make = (row, position) => {
    const {table} = gallery;
    const index = table.index[row], phase = table.byName.get("phase");
    const {src, pictures, measured} = gallery.thumbnail(row);
    const image = element("img", {alt: "", decoding: "async", src: src || null});
    if (measured) image.onload = () => image.parentElement.style.setProperty("--n", gallery.pictures(image));
    const values = [gallery.wish.x, gallery.wish.y].map((name) => table.byName.get(name)).filter(Boolean);
    const words = values.map((column) => `${gallery.label(column)} ${gallery.valueWithUnit(column, row)}`);
    const caption = [element("b", {}, String(index))];
    if (phase) {
      caption.push(" ", element("span", {class: "dot", style: `background:var(--c${phase.values[row] % 8})`}),
        ` ${gallery.value(phase, row)}`);
    }
    caption.push(element("small", {}, values.map((column) => gallery.valueWithUnit(column, row)).join(" · ")));
    const card = element("button", {
      type: "button", class: "card", "data-row": row,
      "aria-label": [`clip ${index}`, ...(phase ? [`phase ${gallery.value(phase, row)}`] : []), ...words].join(", "),
    }, element("span", {class: "frame", style: `--n:${pictures}`}, image), element("span", {class: "caption"}, ...caption));
    if (pictures === 1 && !measured && table.frames[row] > 1) playFrames(card, image, row);
    const cell = element("div", {
      class: "cell", role: "listitem", "aria-setsize": gallery.shown.length, "aria-posinset": position + 1,
    }, card);
    return {cell, card, row};
  };

  /* Without a strip: the clip's own frames, while the pointer or the focus is on it. */
  const playFrames = (card, image, row) => {
    let timer = 0, at = 0;
    const stop = () => { clearInterval(timer); timer = 0; image.src = gallery.frame(row, 0); };
    const start = () => {
      if (timer || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
      timer = setInterval(() => {
        if (!card.isConnected) { clearInterval(timer); return; }
        at = (at + 1) % gallery.table.frames[row];
        image.src = gallery.frame(row, at);
      }, 90);
    };
    card.addEventListener("pointerenter", start);
    card.addEventListener("focus", start);
    card.addEventListener("pointerleave", stop);
    card.addEventListener("blur", stop);
  };

  /* Move the place of the keyboard, and scroll so that it can be seen. */
  const go = (position) => {
    active = Math.min(Math.max(position, 0), gallery.shown.length - 1);
    const top = place.getBoundingClientRect().top + Math.floor(active / columns) * height();
    if (top < 0) scrollBy(0, top - GAP);
    else if (top + height() > innerHeight) scrollBy(0, top + height() - innerHeight);
    draw();
    cells.get(active)?.card.focus({preventScroll: true});
  };

  place.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(innerHeight / height())) * columns;
    const moves = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page,
      Home: -Infinity, End: Infinity,
    };
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(active + move);
  });
  place.addEventListener("focusin", (event) => {
    const card = event.target.closest(".card");
    for (const [position, known] of cells) {
      if (known.card === card) active = position;
    }
    for (const [position, known] of cells) known.card.tabIndex = position === active ? 0 : -1;
  });
  place.addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (card) gallery.ask({open: gallery.table.index[Number(card.dataset.row)]});
  });

  gallery.listen("grid", (changes) => {
    const asked = Object.keys(changes);
    if (asked.length && asked.every((key) => key === "open")) return;
    if (asked.length) { // without any, there are more clips, and what is seen stays
      cells.forEach(({cell}) => cell.remove());
      cells.clear();
      active = 0;
    }
    measure();
    draw();
  });
  addEventListener("scroll", drawSoon, {passive: true});
  new ResizeObserver(() => { measure(); drawSoon(); }).observe(place);
  gallery.focusClip = (row) => { const position = gallery.shown.indexOf(row); if (position >= 0) go(position); };
};
