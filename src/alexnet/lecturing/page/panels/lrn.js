"use strict";
/* Local response normalisation: its constants as sliders, six conventions, maps before and after, and who inhibits whom. */
{
  const { make, slider, choice, canvas, tiles, bars, fixed, fill, guesses } = lecture.draw;

  /** Each framework's words for the same constants: what is multiplied by alpha, and how the window is counted. */
  const conventions = {
    paper: (s) => ({ k: s.k, n: s.size, alpha: s.alpha, beta: s.beta }),
    "cuda-convnet": (s) => ({ minDiv: s.k, size: s.size, scale: s.alpha * s.size, pow: s.beta }),
    caffe: (s) => ({ k: s.k, local_size: s.size, alpha: s.alpha * s.size, beta: s.beta }),
    pytorch: (s) => ({ k: s.k, size: s.size, alpha: s.alpha * s.size, beta: s.beta }),
    tensorflow: (s) => ({ bias: s.k, depth_radius: Math.floor(s.size / 2), alpha: s.alpha, beta: s.beta }),
    onnx: (s) => ({ bias: s.k, size: s.size, alpha: s.alpha * s.size, beta: s.beta }),
  };
  /** The constants as the equation has them, from numbers that a framework was given. */
  lecture.fromConvention = (name, { k, size, alpha, beta }) =>
    name === "tensorflow" ? { k, size: 2 * size + 1, alpha, beta } : { k, size, alpha: name === "paper" ? alpha : alpha / size, beta };

  /** The place and channel of the largest number of a map. */
  function loudest({ data, shape: [, height, width] }) {
    const at = data.reduce((top, value, i) => (value > data[top] ? i : top), 0);
    return { channel: Math.floor(at / (height * width)), y: Math.floor(at / width) % height, x: at % width };
  }

  lecture.panel("lrn", (stage, words) => {
    const { site } = lecture, own = site.layers.find((layer) => layer.kind === "norm");
    const before = own ? site.layers[site.layers.indexOf(own) - 1] : null;
    const published = { k: 2, size: 5, alpha: 1e-4, beta: 0.75 }, settings = own ? { k: own.k, size: own.size, alpha: own.alpha, beta: own.beta } : { ...published };
    const text = make("table", { class: "plain" }), after = canvas(1, 1, words.after, { class: "map" }), input = canvas(1, 1, words.before, { class: "map" });
    const stem = make("div"), answers = make("div"), read = make("p", { class: "read", role: "status" }, words.hint);
    let map = null, plain = null, place = null, picture = null, frame = null;

    const sliders = {
      k: slider({ label: "k", min: 0.1, max: 10, step: 0.1, value: settings.k, show: (v) => fixed(v, 1), change: (v) => set("k", v) }),
      size: slider({ label: "n", min: 1, max: 15, step: 2, value: settings.size, change: (v) => set("size", v) }),
      alpha: slider({ label: "alpha", min: -6, max: 0, step: 0.05, value: Math.log10(settings.alpha), show: (v) => (10 ** v).toPrecision(3), change: (v) => set("alpha", 10 ** v) }),
      beta: slider({ label: "beta", min: 0, max: 1.5, step: 0.05, value: settings.beta, show: (v) => fixed(v, 2), change: (v) => set("beta", v) }),
    };
    function set(key, value) { settings[key] = value; update(); }
    function preset(constants) {
      Object.assign(settings, constants);
      sliders.k.set(settings.k); sliders.size.set(settings.size); sliders.alpha.set(Math.log10(settings.alpha)); sliders.beta.set(settings.beta);
      update();
    }

    function drawText() {
      const short = (v) => (v !== 0 && Math.abs(v) < 0.01 ? v.toExponential(1) : String(Number(v.toPrecision(3))));
      text.replaceChildren(make("tbody", {}, Object.entries(conventions).map(([name, write]) => make("tr", {}, make("th", {}, words.frameworks[name]),
        make("td", {}, make("code", {}, Object.entries(write(settings)).map(([key, v]) => `${key}=${short(v)}`).join("  ")))))));
    }

    function drawStem() {
      if (!place) return;
      const { channel, y, x } = place, [channels, height, width] = map.shape, towers = own.towers ?? 1, range = channels / towers;
      const start = Math.floor(channel / range) * range, half = Math.floor(settings.size / 2), at = (c, m) => m.data[(c * height + y) * width + x];
      const low = Math.max(start, channel - 5), high = Math.min(start + range - 1, channel + 5);
      const rows = Array.from({ length: high - low + 1 }, (_, i) => low + i), most = Math.max(1e-9, ...rows.map((c) => at(c, map)));
      stem.replaceChildren(bars(rows.map((c) => ({
        name: fill(c === channel ? words.itself : Math.abs(c - channel) <= half ? words.inhibitor : words.bystander, { c }), share: at(c, map) / most, text: fixed(at(c, map)), tone: c === channel ? "warm" : Math.abs(c - channel) <= half ? "" : "gray" })), words.stem));
      read.textContent = fill(words.unit, { channel, y, x, before: fixed(at(channel, map), 3), after: fixed(at(channel, plain), 3) });
    }

    const answer = lecture.draw.latest(async () => {
      const { norm } = { norm: { ...settings } };
      const [usual, changed] = [await lecture.run(picture, {}), await lecture.run(picture, { norm })];
      answers.replaceChildren(guesses(changed.probabilities, words.answers, lecture.draw.best(usual.probabilities, 5), usual.probabilities));
    });

    function update() {
      drawText();
      if (!map) return;
      plain = lecture.engine.norm(map, { ...settings, towers: own.towers ?? 1 });
      const columns = Math.ceil(Math.sqrt(map.shape[0] * 1.6));
      // One scale for both, so that they can be compared: that of the map before, times k^-beta.
      const most = map.data.reduce((a, b) => Math.max(a, b), 1e-9);
      frame = tiles(input, map, { columns, high: most });
      tiles(after, plain, { columns, high: most });
      drawStem();
      answer();
    }

    function point(event) {
      if (!frame) return;
      const box = event.currentTarget.getBoundingClientRect(), { columns, width, height, gap, count } = frame;
      const px = ((event.clientX - box.left) / box.width) * input.width, py = ((event.clientY - box.top) / box.height) * input.height;
      const channel = Math.floor(py / (height + gap)) * columns + Math.min(columns - 1, Math.floor(px / (width + gap)));
      if (channel < 0 || channel >= count) return;
      place = { channel, y: Math.min(height - 1, Math.floor(py % (height + gap))), x: Math.min(width - 1, Math.floor(px % (width + gap))) };
      drawStem();
    }
    for (const each of [input, after]) { each.addEventListener("pointermove", point); each.addEventListener("pointerdown", point); }
    const number = slider({ label: words.channel, min: 0, max: (before?.shape[0] ?? 1) - 1, step: 1, value: 0, change: (v) => { if (map) { place = { channel: v, y: place?.y ?? Math.floor(map.shape[1] / 2), x: place?.x ?? Math.floor(map.shape[2] / 2) }; drawStem(); } } });

    stage.append(make("p", { class: "read" }, words.equation), make("div", { class: "sliders" }, Object.values(sliders)),
      make("div", { class: "controls" }, lecture.draw.button(words.published, () => preset(published)), own ? lecture.draw.button(words.own, () => preset({ k: own.k, size: own.size, alpha: own.alpha, beta: own.beta })) : null),
      make("div", { class: "scroll" }, text));
    if (own) stage.append(
      make("div", { class: "split wide" }, make("figure", {}, input, make("figcaption", {}, fill(words.before, { layer: before.name }))), make("figure", {}, after, make("figcaption", {}, words.after))),
      make("div", { class: "split wide" }, make("div", {}, make("h3", {}, words.stem), number, stem, read), make("div", {}, make("h3", {}, words.answers), answers, make("p", { class: "hint" }, words.mark))));
    else stage.append(make("p", { class: "off" }, words.absent));
    drawText();
    return async ({ rgb }) => {
      if (!own) return;
      picture = lecture.pixels.input(rgb);
      ({ outputs: { [before.name]: map } } = await lecture.run(picture, {}, [before.name]));
      place ??= loudest(map);
      number.set(place.channel);
      update();
    };
  });
}
