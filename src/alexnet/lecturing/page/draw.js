"use strict";
/* Elements, bars, maps and charts, as all panels draw them. */
{
  /** An element with attributes, properties that begin with "on", and children. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  }

  function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  const whole = (number) => Math.round(number).toLocaleString("en");
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
  const fixed = (number, digits = 2) => number.toFixed(digits);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const shortName = (index) => lecture.site.classes[index].split(",")[0];

  /** Indices of the largest numbers, the largest first. */
  const best = (numbers, count) => [...numbers.keys()].sort((a, b) => numbers[b] - numbers[a]).slice(0, count);

  /** Rows of a name, a bar and a value; `share` is from 0 to 1, `before` an optional mark. */
  function bars(rows, label, kind = "") {
    return make("ol", { class: `bars ${kind}`, "aria-label": label },
      rows.map(({ name, share, text, before, tone = "" }) => make("li", {},
        make("span", { class: "who", title: name }, name),
        make("span", { class: "track", "aria-hidden": "true" },
          make("i", { class: tone, style: `width:${Math.max(0.4, 100 * Math.min(1, share))}%` }),
          before === undefined ? null : make("b", { style: `left:${100 * Math.min(1, before)}%` })),
        make("span", { class: "value" }, text ?? percent(share)))));
  }

  /** Bars of the five most probable classes, or of the classes given by their indices. */
  const guesses = (probabilities, label, classes = best(probabilities, 5), before = null) =>
    bars(classes.map((i) => ({ name: shortName(i), share: probabilities[i], before: before ? before[i] : undefined })), label);

  /** A slider with its label and value; `show` turns its number into text. */
  function slider({ label, min, max, step, value, show = String, change }) {
    const output = make("output", {}, show(value));
    const field = make("input", { type: "range", min, max, step, value, "aria-label": label });
    field.addEventListener("input", () => { output.textContent = show(Number(field.value)); change(Number(field.value)); });
    const element = make("label", { class: "slider" }, make("span", {}, label), field, output);
    element.field = field;
    element.set = (number) => { field.value = number; output.textContent = show(Number(field.value)); };
    return element;
  }

  const button = (text, act, more = {}) => make("button", { type: "button", onclick: act, ...more }, text);

  /** Buttons of which one is pressed; `choose` gets its key. */
  function choice(label, options, chosen, choose) {
    const group = make("div", { class: "choice", role: "group", "aria-label": label });
    for (const [key, text] of options)
      group.append(button(text, () => { press(key); choose(key); }, { "data-key": key }));
    const press = (key) => {
      for (const each of group.children) each.setAttribute("aria-pressed", String(each.dataset.key === String(key)));
    };
    press(chosen);
    group.press = press;
    return group;
  }

  const dark = () => getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";

  /** Colours of a number from 0 to 1: ink on paper, so that silence is the page itself. */
  function shade(value) {
    const v = Math.max(0, Math.min(1, value));
    return dark() ? [22 + 218 * v, 25 + 195 * v, 30 + 140 * v] : [250 - 225 * v, 249 - 195 * v, 245 - 100 * v];
  }

  /** Colours of a number from -1 to 1: blue, gray, orange. */
  function signed(value) {
    const v = Math.max(-1, Math.min(1, value)), base = dark() ? 40 : 238;
    const to = v < 0 ? [43, 89, 201] : [214, 96, 28];
    return to.map((channel) => base + (channel - base) * Math.abs(v));
  }

  function canvas(width, height, label, more = {}) {
    return make("canvas", { width, height, role: "img", "aria-label": label, ...more });
  }

  /** Paints RGB bytes (side, side, 3). */
  function paint(target, rgb, side = lecture.site.stored_size) {
    target.width = target.height = side;
    const image = new ImageData(side, side);
    for (let i = 0, j = 0; j < rgb.length; i += 4, j += 3) image.data.set([rgb[j], rgb[j + 1], rgb[j + 2], 255], i);
    target.getContext("2d").putImageData(image, 0, 0);
  }

  /** Paints maps (C, H, W), from channel `first` on, as tiles in `columns`; returns how they lie.
   *
   * A number is shown as the square root of its share of the largest, so that what is faint can be seen.
   */
  function tiles(target, map, { first = 0, count = map.shape[0], columns, tone = shade, high = null }) {
    const [, height, width] = map.shape, places = height * width, gap = 1;
    const part = map.data.subarray(first * places, (first + count) * places);
    const most = high ?? part.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
    const rows = Math.ceil(count / columns);
    target.width = columns * (width + gap) - gap;
    target.height = rows * (height + gap) - gap;
    const context = target.getContext("2d"), image = context.createImageData(target.width, target.height);
    for (let c = 0; c < count; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const row = Math.floor(c / columns) * (height + gap) + y, column = (c % columns) * (width + gap) + x;
          const share = part[c * places + y * width + x] / most;
          const [r, g, b] = tone(Math.sign(share) * Math.sqrt(Math.abs(share)));
          image.data.set([r, g, b, 255], (row * target.width + column) * 4);
        }
    context.putImageData(image, 0, 0);
    return { first, count, columns, width, height, gap };
  }

  /** A drag on an element, by pointer or arrow keys: `move(x, y)` in shares of its sides, `nudge(dx, dy)` in steps. */
  function draggable(element, move, nudge) {
    const at = (event) => {
      const box = element.getBoundingClientRect();
      move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    };
    element.tabIndex = 0;
    element.classList.add("draggable");
    element.addEventListener("pointerdown", (event) => { element.setPointerCapture(event.pointerId); at(event); });
    element.addEventListener("pointermove", (event) => { if (event.buttons) at(event); });
    element.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      nudge(...step);
    });
  }

  /** Calls a slow function with its latest arguments only, one call at a time. */
  function latest(slow) {
    let next = null, isBusy = false;
    return async (...given) => {
      next = given;
      if (isBusy) return;
      isBusy = true;
      try {
        while (next) {
          const now = next;
          next = null;
          await slow(...now);
        }
      } finally {
        isBusy = false;
      }
    };
  }

  lecture.draw = { make, svg, whole, percent, fixed, fill, shortName, best, bars, guesses, slider, button, choice, shade, signed, canvas, paint, tiles, draggable, latest };
}
