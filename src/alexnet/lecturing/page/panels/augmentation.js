"use strict";
/* Augmentation: a window dragged over the picture, its mirror image, ten views, and colour along the data's components. */
{
  const { make, slider, button, canvas, paint, draggable, guesses, bars, best, fill, fixed, percent, shortName, whole, latest } = lecture.draw;

  /** What is added to R, G, B, in 0..255: eigenvalues of pixels in [0, 1] times `draws`, along the components. */
  lecture.colourShift = (draws, { eigenvalues, vectors } = lecture.site.components) =>
    [0, 1, 2].map((c) => 255 * draws.reduce((sum, draw, i) => sum + draw * eigenvalues[i] * vectors[i][c], 0));

  /** The probabilities of each of the ten views of a stored picture, and their mean. */
  lecture.tenViews = async (rgb) => {
    const views = [];
    for (const each of lecture.pixels.tenViews()) views.push((await lecture.run(lecture.pixels.input(rgb, each))).probabilities);
    return { views, mean: views[0].map((_, i) => views.reduce((sum, view) => sum + view[i], 0) / views.length) };
  };

  lecture.panel("augmentation", (stage, words) => {
    const { site, pixels } = lecture, last = site.stored_size - site.input_size, seen = new Set();
    const draws = [0, 0, 0];
    let view = pixels.centre(), rgb = null;
    const picture = canvas(site.stored_size, site.stored_size, words.picture), frame = make("div", { class: "window" });
    const holder = make("div", { class: "shown" }, picture, frame), answers = make("div"), count = make("p", { class: "read", role: "status" });
    const mirror = make("input", { type: "checkbox", onchange: () => { view = { ...view, mirror: mirror.checked }; update(); } });
    const ten = make("div");

    const answer = latest(async () => {
      const { probabilities } = await lecture.run(pixels.input(rgb, { ...view, shift: lecture.colourShift(draws) }));
      answers.replaceChildren(guesses(probabilities, words.answers));
    });

    function update() {
      if (!rgb) return;
      seen.add(`${view.top},${view.left},${view.mirror}`);
      const all = 2 * (last + 1) ** 2;
      count.textContent = fill(words.count, { seen: seen.size, all: whole(all), places: last + 1 });
      const share = (n) => `${(100 * n) / site.stored_size}%`;
      Object.assign(frame.style, { left: share(view.mirror ? last - view.left : view.left), top: share(view.top), width: share(site.input_size), height: share(site.input_size) });
      const shift = lecture.colourShift(draws), shown = new Uint8ClampedArray(rgb.length), side = site.stored_size;
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++)
          for (let c = 0; c < 3; c++) shown[(y * side + x) * 3 + c] = rgb[(y * side + (view.mirror ? side - 1 - x : x)) * 3 + c] + shift[c];
      paint(picture, shown);
      answer();
    }
    const limit = (at) => Math.max(0, Math.min(last, Math.round(at)));
    function place(top, left) { view = { ...view, top: limit(top), left: limit(left) }; update(); }
    draggable(picture,
      (x, y) => { const left = x * site.stored_size - site.input_size / 2; place(y * site.stored_size - site.input_size / 2, view.mirror ? last - left : left); },
      (dx, dy) => place(view.top + dy, view.left + (view.mirror ? -dx : dx)));

    async function tenViews() {
      const { views, mean } = await lecture.tenViews(rgb);
      const [first] = best(mean, 1);
      ten.replaceChildren(make("div", { class: "split" },
        make("div", {}, make("h3", {}, fill(words.each, { name: shortName(first) })), bars(views.map((view, i) => ({ name: words.places[i % 5] + (i > 4 ? words.mirrored : ""), share: view[first] })), words.each)),
        make("div", {}, make("h3", {}, words.mean), guesses(mean, words.mean))));
    }

    const sliders = draws.map((_, i) => slider({ label: fill(words.component, { i: i + 1 }), min: -1, max: 1, step: 0.02, value: 0, show: (v) => fixed(v, 2), change: (v) => { draws[i] = v; update(); } }));
    const vector = (v) => `(${v.map((n) => fixed(n)).join(", ")})`;
    stage.append(make("div", { class: "split" },
      make("figure", {}, holder, make("figcaption", {}, fill(words.drag, { size: site.input_size, stored: site.stored_size }))),
      make("div", {}, make("label", { class: "controls" }, mirror, words.mirror), count, make("h3", {}, words.answers), answers)),
    make("div", { class: "controls" }, button(words.ten, tenViews, { id: "ten-views" })), ten,
    make("h3", {}, words.colour), make("p", { class: "hint" }, words.colour_hint), make("div", { class: "sliders" }, sliders),
    make("div", { class: "controls" }, button(words.draw, () => roll(0.1)), button(words.reset, () => roll(0))),
    make("div", { class: "scroll" }, make("table", { class: "plain" }, make("thead", {}, make("tr", {}, words.component_heads.map((head) => make("th", {}, head)))),
      make("tbody", {}, site.components.eigenvalues.map((value, i) => make("tr", {}, make("th", {}, String(i + 1)), make("td", {}, fixed(value, 4)), make("td", {}, vector(site.components.vectors[i]))))))));
    function roll(spread) {
      const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
      draws.forEach((_, i) => { draws[i] = spread * normal(); sliders[i].set(draws[i]); });
      update();
    }
    return ({ rgb: bytes }) => { rgb = bytes; seen.clear(); ten.replaceChildren(); update(); };
  });
}
