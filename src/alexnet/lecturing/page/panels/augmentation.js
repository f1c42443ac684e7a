"use strict";
/* Augmentation: a window dragged over the picture, its mirror image, ten views, and colour along the data's components. */
{
  const { make, slider, button, choice, canvas, paint, draggable, guesses, bars, best, fill, fixed, shortName, whole, latest } = lecture.draw;

  /** What is added to R, G, B, in 0..255: eigenvalues of pixels in [0, 1] times `draws`, along the components. */
  lecture.colourShift = (draws, { eigenvalues, vectors } = lecture.site.components) =>
    [0, 1, 2].map((c) => 255 * draws.reduce((sum, draw, i) => sum + draw * eigenvalues[i] * vectors[i][c], 0));

  /** The probabilities of each of the ten views of a stored picture, and their mean. */
  lecture.tenViews = async (rgb) => {
    const views = [];
    for (const each of lecture.pixels.tenViews()) views.push((await lecture.run(lecture.pixels.input(rgb, each))).probabilities);
    return { views, mean: views[0].map((_, i) => views.reduce((sum, view) => sum + view[i], 0) / views.length) };
  };

  /** The places, "top,left", that a window passes on a straight way, its end included. */
  lecture.passed = (from, to) => {
    const steps = Math.max(1, Math.abs(to.top - from.top), Math.abs(to.left - from.left));
    const between = (a, b, i) => Math.round(a + ((b - a) * i) / steps);
    return Array.from({ length: steps }, (_, i) => `${between(from.top, to.top, i + 1)},${between(from.left, to.left, i + 1)}`);
  };

  /** The window of a picture that was dragged: of 224 pixels in 256, as in the lecture, or as large as the network's. */
  function windows(stage, words, shiftNow) {
    const { site, pixels } = lecture, sizes = { lecture: [256, 224], own: [site.stored_size, site.input_size] };
    let mode = "lecture", at = { top: 16, left: 16 }, isMirrored = false, current = null, shown = null;
    const seen = new Set(), picture = canvas(1, 1, words.picture), frame = make("div", { class: "window" }), map = canvas(1, 1, words.map, { class: "map places" });
    const caption = make("figcaption"), answers = make("div"), count = make("p", { class: "read", role: "status" });
    const stored = () => sizes[mode][0], size = () => sizes[mode][1], last = () => stored() - size();

    const answer = latest(async () => {
      const view = { ...at, mirror: isMirrored, shift: shiftNow() };
      const input = mode === "own" ? pixels.input(shown, view) : pixels.input(shrunk(), { ...pixels.centre(), mirror: isMirrored, shift: shiftNow() });
      const { probabilities } = await lecture.run(input);
      answers.replaceChildren(guesses(probabilities, words.answers));
    });

    /** The lecture's window, shrunk to what this network reads, in the middle of a stored picture. */
    function shrunk() {
      const inner = pixels.fit({ data: pixels.cut(shown, 256, at, 224), width: 224, height: 224 }, site.input_size, "crop");
      const { top, left } = pixels.centre(), out = new Uint8ClampedArray(3 * site.stored_size ** 2);
      for (let y = 0; y < site.input_size; y++)
        out.set(inner.subarray(3 * y * site.input_size, 3 * (y + 1) * site.input_size), 3 * ((top + y) * site.stored_size + left));
      return out;
    }

    function drawPlaces() {
      const side = last() + 1, context = map.getContext("2d");
      [map.width, map.height] = [2 * side + 1, side];
      context.fillStyle = "#2b59c9";
      for (const each of seen) {
        const [top, left, mirrored] = each.split(",").map(Number);
        context.fillRect(left + mirrored * (side + 1), top, 1, 1);
      }
      const all = 2 * side ** 2;
      count.textContent = fill(mode === "lecture" ? words.count_lecture : words.count, { seen: whole(seen.size), all: whole(all), places: side });
    }

    function update() {
      if (!shown) return;
      const share = (n) => `${(100 * n) / stored()}%`, side = stored();
      Object.assign(frame.style, { left: share(isMirrored ? last() - at.left : at.left), top: share(at.top), width: share(size()), height: share(size()) });
      const shift = shiftNow(), painted = new Uint8ClampedArray(shown.length);
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++)
          for (let c = 0; c < 3; c++) painted[(y * side + x) * 3 + c] = shown[(y * side + (isMirrored ? side - 1 - x : x)) * 3 + c] + shift[c];
      paint(picture, painted, side);
      drawPlaces();
      answer();
    }
    const limit = (n) => Math.max(0, Math.min(last(), Math.round(n)));
    function place(top, left) {
      const to = { top: limit(top), left: limit(left) };
      for (const each of lecture.passed(at, to)) seen.add(`${each},${Number(isMirrored)}`);
      at = to;
      update();
    }
    function begin() {
      if (!current) return;
      shown = mode === "own" ? current.rgb : pixels.fit(current.pixels, 256);
      caption.textContent = fill(words.drag, { size: size(), stored: stored() });
      seen.clear();
      at = { top: Math.floor(last() / 2), left: Math.floor(last() / 2) };
      place(at.top, at.left);
    }
    draggable(picture,
      (x, y) => { const left = x * stored() - size() / 2; place(y * stored() - size() / 2, isMirrored ? last() - left : left); },
      (dx, dy) => place(at.top + dy, at.left + (isMirrored ? -dx : dx)));
    const mirror = make("input", { type: "checkbox", onchange: () => { isMirrored = mirror.checked; place(at.top, at.left); } });
    stage.append(choice(words.sizes, [["lecture", words.lecture], ["own", fill(words.own, { size: site.input_size, stored: site.stored_size })]], mode, (key) => { mode = key; begin(); }),
      make("div", { class: "split" },
        make("figure", {}, make("div", { class: "shown" }, picture, frame), caption),
        make("div", {}, make("label", { class: "controls" }, mirror, words.mirror), count, map, make("h3", {}, words.answers), answers)));
    return { update, show: (given) => { current = given; begin(); } };
  }

  lecture.panel("augmentation", (stage, words) => {
    const { site } = lecture, draws = [0, 0, 0], ten = make("div");
    const view = windows(stage, words, () => lecture.colourShift(draws));

    async function tenViews() {
      const { views, mean } = await lecture.tenViews(lecture.picture.rgb), [first] = best(mean, 1);
      ten.replaceChildren(make("div", { class: "split" },
        make("div", {}, make("h3", {}, fill(words.each, { name: shortName(first) })), bars(views.map((each, i) => ({ name: words.places[i % 5] + (i > 4 ? words.mirrored : ""), share: each[first] })), words.each)),
        make("div", {}, make("h3", {}, words.mean), guesses(mean, words.mean))));
    }

    const sliders = draws.map((_, i) => slider({ label: fill(words.component, { i: i + 1 }), min: -1, max: 1, step: 0.02, value: 0, show: (v) => fixed(v, 2), change: (v) => { draws[i] = v; view.update(); } }));
    const vector = (v) => `(${v.map((n) => fixed(n)).join(", ")})`;
    function roll(spread) {
      const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
      draws.forEach((_, i) => { draws[i] = spread * normal(); sliders[i].set(draws[i]); });
      view.update();
    }
    stage.append(make("div", { class: "controls" }, button(words.ten, tenViews, { id: "ten-views" })), ten,
      make("h3", {}, words.colour), make("p", { class: "hint" }, words.colour_hint), make("div", { class: "sliders" }, sliders),
      make("div", { class: "controls" }, button(words.draw, () => roll(0.1)), button(words.reset, () => roll(0))),
      make("div", { class: "scroll" }, make("table", { class: "plain" }, make("thead", {}, make("tr", {}, words.component_heads.map((head) => make("th", {}, head)))),
        make("tbody", {}, site.components.eigenvalues.map((value, i) => make("tr", {}, make("th", {}, String(i + 1)), make("td", {}, fixed(value, 4)), make("td", {}, vector(site.components.vectors[i]))))))));
    return (picture) => { view.show(picture); return tenViews(); };
  });
}
