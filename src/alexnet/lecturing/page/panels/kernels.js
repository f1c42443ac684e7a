"use strict";
/* The kernels of conv1 by tower, as `shownet.py` of 2012 shows them, and what one of them finds on the picture. */
{
  const { make, canvas, tiles, fill, slider, signed, fixed } = lecture.draw;

  /** RGB bytes of the kernels, all under one scale: {pixels: (N, side, side, 3), side}. */
  lecture.kernelPictures = (layer, matrix) => {
    const side = layer.kernel, weights = lecture.engine.toDense(matrix), each = 3 * side * side;
    let [low, high] = [Infinity, -Infinity];
    for (const w of weights) { if (w < low) low = w; if (w > high) high = w; }
    const out = new Uint8ClampedArray(weights.length);
    for (let n = 0; n < matrix.rows; n++)
      for (let c = 0; c < 3; c++)
        for (let p = 0; p < side * side; p++)
          out[n * each + p * 3 + c] = Math.floor((255 * (weights[n * each + c * side * side + p] - low)) / (high - low) + 0.5);
    return { pixels: out, side };
  };

  lecture.panel("kernels", (stage, words) => {
    const { site } = lecture, layer = site.layers.find((each) => each.kind === "conv"), count = layer.shape[0];
    const towers = site.layers.some((each) => (each.groups ?? 1) === 2) ? 2 : 1, each = count / towers, columns = Math.min(16, each);
    let chosen = 0, kernels = null, map = null;
    const targets = Array.from({ length: towers }, (_, i) => canvas(1, 1, fill(words.tower, { i: i + 1 }), { class: "map" }));
    const large = canvas(layer.kernel, layer.kernel, words.large, { class: "map" }), found = canvas(1, 1, words.found, { class: "map" }), read = make("p", { class: "read", role: "status" });

    function image(target, numbers, wide) {
      const { pixels, side } = kernels, rows = Math.ceil(numbers.length / wide), cell = side + 1;
      target.width = wide * cell - 1;
      target.height = rows * cell - 1;
      const context = target.getContext("2d"), picture = context.createImageData(target.width, target.height);
      numbers.forEach((n, i) => {
        for (let p = 0; p < side * side; p++) {
          const at = (Math.floor(i / wide) * cell + Math.floor(p / side)) * target.width + (i % wide) * cell + (p % side);
          picture.data.set([...pixels.subarray((n * side * side + p) * 3, (n * side * side + p) * 3 + 3), 255], 4 * at);
        }
      });
      context.putImageData(picture, 0, 0);
    }
    function choose(n) {
      chosen = n;
      number.set(n);
      image(large, [n], 1);
      if (!map) return;
      const places = map.shape[1] * map.shape[2];
      tiles(found, map, { first: n, count: 1, columns: 1, tone: signed });
      const part = map.data.subarray(n * places, (n + 1) * places), most = part.reduce((a, b) => Math.max(a, b), -Infinity);
      read.textContent = fill(words.read, { n, tower: Math.floor(n / each) + 1, most: fixed(most) });
    }
    const number = slider({ label: words.kernel, min: 0, max: count - 1, step: 1, value: 0, change: choose });
    targets.forEach((target, i) => target.addEventListener("pointerdown", (event) => {
      const box = target.getBoundingClientRect(), cell = layer.kernel + 1;
      const column = Math.floor((((event.clientX - box.left) / box.width) * target.width) / cell), row = Math.floor((((event.clientY - box.top) / box.height) * target.height) / cell);
      const n = i * each + row * columns + column;
      if (n < (i + 1) * each) choose(n);
    }));
    stage.append(make("div", { class: "split wide" }, targets.map((target, i) => make("figure", {}, target, make("figcaption", {}, fill(towers > 1 ? words.tower : words.one, { i: i + 1, count: each }))))),
      number, make("div", { class: "split" }, make("figure", {}, make("div", { class: "shown" }, large), make("figcaption", {}, words.large)), make("figure", {}, make("div", { class: "shown" }, found), make("figcaption", {}, words.found))), read,
      make("h3", {}, words.epochs), make("div", { class: "split wide" }, Object.entries(lecture.epochs).sort(([a], [b]) => a - b).map(([epochs, src]) =>
        make("figure", {}, make("img", { class: "map", src, alt: fill(words.after, { epochs }) }), make("figcaption", {}, fill(words.after, { epochs }))))),
      make("p", { class: "hint" }, words.hint));
    return async ({ rgb }) => {
      kernels = lecture.kernelPictures(layer, lecture.tensors[`${layer.name}.weight`]);
      targets.forEach((target, i) => image(target, Array.from({ length: each }, (_, n) => i * each + n), columns));
      ({ outputs: { [layer.name]: map } } = await lecture.run(lecture.pixels.input(rgb), {}, [layer.name]));
      choose(chosen);
    };
  });
}
