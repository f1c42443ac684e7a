"use strict";
/* The frame: the panels in the order of the slides, the picture they all look at, the keyboard, and the exercises. */
{
  const { make, button, fill, paint, canvas, percent, best, shortName } = lecture.draw;
  const { texts, figures, site, pixels } = lecture, words = texts.frame;
  const order = Object.keys(texts.panels), built = new Map(), dirty = new Set();
  const OFFERED = 3; // photographs at the top of the page
  const nameOf = (key) => words.names[key] ?? key;
  const root = document.documentElement;
  root.lang = texts.language;
  document.title = texts.title;

  const answer = make("p", { class: "answer", "aria-live": "polite" }, words.loading);
  const strip = make("div", { class: "strip" }, make("div", {}, pictureButtons(), answer, steps()));
  const main = make("main", { id: "content" }, order.map(panel), sheet());
  const nav = make("nav", { "aria-label": words.panels }, order.map((key) => make("a", { href: `#${key}` }, texts.panels[key].short)), make("a", { href: "#teacher" }, words.sheet));
  document.querySelector("header.top").remove(); // it stands there so that something is painted at once
  document.body.append(
    make("a", { class: "skip", href: "#content" }, words.skip),
    make("header", { class: "top" }, make("h1", {}, texts.title), make("p", { class: "soft" }, fill(words.about, {
      name: site.name, variant: site.variant, count: site.classes.length, size: site.input_size,
    })), site.is_exact ? null : make("p", { class: "notice" }, words.rounded),
    site.is_alexnet ? null : make("p", { class: "notice" }, fill(words.other, { variant: site.variant }))),
    strip, make("div", { class: "page" }, nav, main));

  function pictureButtons() {
    const group = make("div", { class: "pictures", role: "group", "aria-label": words.pictures });
    const add = (name, target, act) => {
      const each = button("", act, { "aria-label": name, title: name, "data-name": name, "aria-pressed": "false" });
      each.append(target);
      group.append(each);
    };
    const ball = pixels.drawn(64), small = canvas(64, 64, "");
    paint(small, ball.data, 64);
    add(words.names.drawn, small, () => lecture.setPicture(words.names.drawn, pixels.drawn(site.stored_size)));
    for (const [key, address] of Object.entries(lecture.photographs).slice(0, OFFERED)) {
      const target = canvas(64, 64, ""), image = new Image();
      image.onload = () => target.getContext("2d").drawImage(image, 0, 0, 64, 64);
      image.src = address;
      add(nameOf(key), target, () => example(key));
    }
    const field = make("input", { type: "file", accept: "image/*", "aria-label": words.choose, onchange: () => take(field.files[0]) });
    return [group, make("span", { class: "file" }, words.choose, field)];
  }

  /** An example by its key: {name, rgb, pixels}. */
  lecture.photograph = async (key) => {
    const letters = atob(lecture.photographs[key].split(",")[1]);
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const decoded = await pixels.decode(new Blob([bytes], { type: "image/jpeg" }), words);
    return { name: nameOf(key), rgb: pixels.fit(decoded, site.stored_size), pixels: decoded };
  };

  async function example(key) {
    const { name, pixels: decoded } = await lecture.photograph(key);
    lecture.setPicture(name, decoded);
  }

  /** Takes the user's own picture, or says in a sentence why not. */
  async function take(blob) {
    if (!blob) return;
    try {
      lecture.setPicture(blob.name || words.pasted, await pixels.decode(blob, words));
    } catch (error) {
      if (!(error instanceof pixels.NoPicture)) throw error;
      answer.textContent = `${blob.name || words.pasted}: ${error.message}`;
    }
  }
  lecture.take = take;

  function steps() {
    return make("div", { class: "steps" },
      button("←", () => step(-1), { "aria-label": words.previous, title: words.previous }),
      button("→", () => step(1), { "aria-label": words.next, title: words.next }),
      button(words.projector, () => project(), { id: "projector", "aria-pressed": "false", title: "P" }),
      button("◐", theme, { "aria-label": words.theme, title: "T" }));
  }

  function panel(key) {
    const text = texts.panels[key], heading = `${key}-title`;
    const stage = make("div", { class: "stage" });
    return make("section", { class: "panel", id: key, "aria-labelledby": heading, tabindex: "-1" },
      make("header", {}, make("h2", { id: heading }, text.title), make("p", { class: "claim" }, text.claim)),
      stage, make("div", { class: "more" }, measured(key, text),
        make("div", { class: "aside" }, exercise(key, text.exercise), code(text.code),
          make("p", { class: "deeper" }, `${words.deeper} `, notebook(text.notebook)))));
  }

  /** The notebook that goes deeper: a file of the folder, where the package has it. */
  function notebook(name) {
    if (!site.notebooks.includes(name)) return make("code", {}, `docs/lecture/${name}.ipynb`);
    return make("a", { href: `notebooks/${name}.ipynb`, download: "" }, name);
  }

  /** The table of the paper's figures beside ours, where a panel has figures. */
  function measured(key, text) {
    const rows = figures[key] ?? [];
    if (!rows.length) return null;
    return make("div", { class: "measured" }, make("h3", {}, words.measured), make("div", { class: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, ["", words.paper, words.ours, words.interval].map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, rows.map((row) => make("tr", {}, make("th", { scope: "row" }, text.figures[row.key]),
        make("td", {}, row.paper ?? words.no_figure), make("td", {}, row.ours ?? words.not_measured), make("td", {}, row.interval ?? "–")))))),
    [...new Set(rows.map((row) => row.command).filter(Boolean))].map((command) =>
      make("p", { class: "command" }, make("code", {}, command))),
    rows.some((row) => row.command?.includes("clothing.tar")) ? make("p", { class: "hint" }, words.source) : null);
  }

  function exercise(key, { question, answer: right, tolerance = 0, minutes, solution }) {
    const field = make("input", { inputmode: "decimal", autocomplete: "off", "aria-label": words.yours, name: `${key}-answer` });
    const verdict = make("p", { class: "verdict", role: "status" }), text = make("p", { class: "solution", hidden: true }, solution);
    const check = (event) => {
      event.preventDefault();
      const given = Number(field.value.trim().replace(/[\s,](?=\d{3}\b)/g, "").replace(",", ".").replace("%", ""));
      const isRight = field.value.trim() !== "" && Math.abs(given - right) <= tolerance;
      verdict.textContent = isRight ? words.right : words.wrong;
      verdict.className = `verdict ${isRight ? "right" : "wrong"}`;
    };
    return make("div", { class: "exercise" }, make("h3", {}, fill(words.exercise, { minutes })), make("p", {}, question),
      make("form", { onsubmit: check }, field, make("button", { type: "submit" }, words.check),
        button(words.solution, () => { text.hidden = !text.hidden; })), verdict, text);
  }

  function code(text) {
    return make("details", {}, make("summary", {}, words.code), make("pre", {}, make("code", {}, text)));
  }

  function sheet() {
    const rows = order.map((key) => [texts.panels[key].title, ...texts.panels[key].timing, texts.panels[key].exercise.minutes, notebook(texts.panels[key].notebook)]);
    const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
    const cells = (row, tag = "td") => row.map((cell, i) => make(i ? tag : "th", { class: i && i < 4 ? "number" : "" }, cell));
    return make("section", { class: "panel sheet", id: "teacher" }, make("header", {}, make("h2", {}, words.sheet), make("p", {}, words.sheet_about)),
      make("div", { class: "stage" }, make("div", { class: "scroll" }, make("table", { class: "plain" },
        make("thead", {}, make("tr", {}, cells(words.sheet_heads, "th"))),
        make("tbody", {}, rows.map((row) => make("tr", {}, cells(row))), make("tr", {}, cells([words.sheet_sum, sum(1), sum(2), sum(3), ""])))))));
  }

  /** The panel whose head is nearest to the top of the window. */
  let isSteered = false; // by a key or a link: what scrolls by on the way there is not meant
  let current = order.includes(location.hash.slice(1)) ? location.hash.slice(1) : order[0];

  function show(key, isFocused = false) {
    current = key;
    for (const each of main.querySelectorAll(".panel")) each.toggleAttribute("data-current", each.id === key);
    for (const link of nav.children) {
      if (link.hash === `#${key}`) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    build(key);
    if (isFocused) {
      isSteered = true;
      history.replaceState(null, "", `#${key}`);
      const target = document.getElementById(key);
      target.focus({ preventScroll: true });
      if (root.classList.contains("projector")) scrollTo(0, 0); else target.scrollIntoView();
    }
  }

  function build(key) {
    if (!built.has(key)) {
      const stage = document.querySelector(`#${key} .stage`), act = lecture.panels[key];
      built.set(key, act ? act(stage, texts.panels[key].words ?? {}) : null);
      dirty.add(key);
    }
    if (dirty.has(key) && lecture.picture && lecture.tensors) {
      dirty.delete(key);
      Promise.resolve(built.get(key)?.(lecture.picture)).catch((error) => { answer.textContent = String(error); });
    }
  }

  const step = (by) => show(order[Math.max(0, Math.min(order.length - 1, order.indexOf(current) + by))], true);

  function project(isOn = !root.classList.contains("projector")) {
    root.classList.toggle("projector", isOn);
    document.getElementById("projector").setAttribute("aria-pressed", String(isOn));
    show(current, true);
  }

  function theme() {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    for (const key of built.keys()) dirty.add(key);
    for (const key of inView) build(key);
  }

  const keys = {
    ArrowRight: () => step(1), PageDown: () => step(1), ArrowLeft: () => step(-1), PageUp: () => step(-1),
    Home: () => show(order[0], true), End: () => show(order.at(-1), true), p: () => project(), t: theme,
    Escape: () => root.classList.contains("projector") && project(false),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
  document.addEventListener("dragleave", () => document.body.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  nav.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || !order.includes(link.hash.slice(1))) return;
    event.preventDefault();
    show(link.hash.slice(1), true);
  });

  const inView = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inView.add(target.id); else inView.delete(target.id);
    }
    for (const key of inView) build(key);
    const top = order.find((key) => inView.has(key) && document.getElementById(key).getBoundingClientRect().bottom > 200);
    if (top && !isSteered && !root.classList.contains("projector")) show(top);
  }, { rootMargin: "-80px 0px 0px 0px", threshold: [0, 0.25] });
  for (const kind of ["scrollend", "wheel", "touchmove"]) addEventListener(kind, () => { isSteered = false; }, { passive: true });
  for (const key of order) watch.observe(document.getElementById(key));

  lecture.onPicture(async ({ name, rgb }) => {
    for (const each of document.querySelectorAll(".pictures button")) each.setAttribute("aria-pressed", String(each.dataset.name === name));
    for (const key of order) dirty.add(key);
    for (const key of new Set([...inView, current])) build(key);
    const { probabilities, milliseconds } = await lecture.run(pixels.input(rgb));
    const [first] = best(probabilities, 1);
    answer.textContent = fill(words.answer, { name, guess: shortName(first), share: percent(probabilities[first], 0), time: Math.round(milliseconds) });
    document.body.dataset.answered = name;
  });

  show(current, Boolean(location.hash));
  // The page is painted before the network is loaded.
  requestAnimationFrame(() => setTimeout(async () => {
    try {
      await lecture.begin();
      await example(Object.keys(lecture.photographs)[0]);
    } catch (error) {
      answer.textContent = fill(words.failed, { error: error.message });
    }
  }));
}
