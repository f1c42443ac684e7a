"use strict";
/* Pooling: the lecture's matrix window by window, then a real map, overlapping or not. */
{
  const { make, choice, button, canvas, tiles, fill, slider, whole } = lecture.draw;
  const MATRIX = [[12, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]];
  lecture.matrix = { data: Float32Array.from(MATRIX.flat()), shape: [1, 4, 4] };

  lecture.panel("pooling", (stage, words) => {
    let stride = 2, at = 0, timer = null, real = "3/2", maps = null, channel = 0;
    const source = make("table", { class: "matrix", "aria-label": words.source }), target = make("table", { class: "matrix", "aria-label": words.target });
    const read = make("p", { class: "read", role: "status" });

    function draw() {
      const pooled = lecture.engine.pool(lecture.matrix, { kernel: 2, stride }), side = pooled.shape[1];
      const [row, column] = [Math.floor(at / side), at % side], [top, left] = [row * stride, column * stride];
      const inside = (y, x) => y >= top && y < top + 2 && x >= left && x < left + 2;
      const most = pooled.data[at];
      source.replaceChildren(...MATRIX.map((numbers, y) => make("tr", {}, numbers.map((n, x) => make("td", { class: inside(y, x) ? (n === most ? "lit most" : "lit") : "" }, String(n))))));
      target.replaceChildren(...Array.from({ length: side }, (_, y) => make("tr", {}, Array.from({ length: side }, (_, x) => make("td", { class: y === row && x === column ? "most" : "" }, y * side + x <= at ? String(pooled.data[y * side + x]) : "·")))));
      const numbers = MATRIX.flatMap((line, y) => line.filter((_, x) => inside(y, x)));
      read.textContent = fill(words.step, { number: at + 1, all: side * side, numbers: numbers.join(", "), most });
    }
    const count = () => (stride === 2 ? 4 : 9);
    const go = (by) => { at = (at + by + count()) % count(); draw(); };
    function play() {
      if (timer) { clearInterval(timer); timer = null; return; }
      timer = setInterval(() => { go(1); if (at === count() - 1) { clearInterval(timer); timer = null; } }, 900);
    }

    const first = lecture.site.layers.find((layer) => layer.kind === "pool"), previous = first && lecture.site.layers[lecture.site.layers.indexOf(first) - 1];
    const before = canvas(1, 1, words.real_before, { class: "map" }), after = canvas(1, 1, words.real_after, { class: "map" });
    const says = make("p", { class: "hint" });
    function drawReal() {
      if (!maps) return;
      const [kernel, step] = real.split("/").map(Number), map = maps[previous.name];
      const places = map.shape[1] * map.shape[2], one = { data: map.data.subarray(channel * places, (channel + 1) * places), shape: [1, map.shape[1], map.shape[2]] };
      const pooled = lecture.engine.pool(one, { kernel, stride: step });
      tiles(before, one, { columns: 1 });
      tiles(after, pooled, { columns: 1, high: one.data.reduce((a, b) => Math.max(a, b), 1e-9) });
      says.textContent = fill(words.sizes, { from: map.shape[1], to: pooled.shape[1], windows: whole(pooled.shape[1] ** 2) });
      after.dataset.sum = pooled.data.reduce((a, b) => a + b, 0);
    }

    stage.append(make("div", { class: "controls" },
      choice(words.stride, [[2, words.apart], [1, words.overlap]], stride, (key) => { stride = Number(key); at = 0; draw(); }),
      button(words.back, () => go(-1)), button(words.forth, () => go(1)), button(words.play, play)),
    make("div", { class: "split" }, make("figure", {}, source, make("figcaption", {}, words.source)), make("figure", {}, target, make("figcaption", {}, words.target))), read);
    if (first) stage.append(make("h3", {}, fill(words.real, { layer: previous.name })), make("div", { class: "controls" },
      choice(words.windows, [["3/2", words.three], ["2/2", words.two]], real, (key) => { real = key; drawReal(); })),
    slider({ label: words.channel, min: 0, max: first.shape[0] - 1, step: 1, value: 0, change: (v) => { channel = v; drawReal(); } }),
    make("div", { class: "split" }, make("figure", {}, before, make("figcaption", {}, words.real_before)), make("figure", {}, after, make("figcaption", {}, words.real_after))), says);
    draw();
    return async ({ rgb }) => {
      if (!first) return;
      ({ outputs: maps } = await lecture.run(lecture.pixels.input(rgb), {}, [previous.name]));
      drawReal();
    };
  });
}
