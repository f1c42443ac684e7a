"use strict";
/* The architecture: the picture flows through; a unit shows its receptive field, a pixel the units that see it. */
{
  const { make, choice, canvas, paint, tiles, whole, fill, draggable, best, signed } = lecture.draw;

  /** The receptive field of a layer: `size` pixels, units `step` apart, the first beginning at pixel `start`. */
  lecture.receptiveField = (layers, name) => {
    let [size, step, start] = [1, 1, 0];
    for (const layer of layers) {
      if (layer.kernel && layer.kind !== "pad") {
        size += (layer.kernel - 1) * step;
        start -= (layer.padding ?? 0) * step;
        step *= layer.stride ?? 1;
      } else if (layer.kind === "norm" || layer.kind === "relu" || layer.kind === "tanh" || layer.kind === "pad") {
        // sees its own place only
      } else if (layer.kind === "same") {
        size += (layer.size - 1) * step;
        start -= Math.floor(layer.size / 2) * step;
      } else return null;
      if (layer.name === name) return { size, step, start };
    }
    return null;
  };

  lecture.panel("architecture", (stage, words) => {
    const { site } = lecture, mapped = site.layers.filter((layer) => layer.shape.length === 3 && layer.kind !== "pad");
    const count = Math.max(1, ...site.layers.map((layer) => layer.groups ?? 1)) > 1 ? 2 : 1;
    let chosen = mapped[0].name, shown = "own", outputs = null, unit = null;
    const picture = canvas(site.input_size, site.input_size, words.picture);
    const field = make("div", { class: "window", hidden: true }), holder = make("div", { class: "shown" }, picture, field);
    const towers = Array.from({ length: count }, (_, tower) => canvas(
      1, 1, fill(words.maps, { layer: chosen, count: mapped[0].shape[0] / count, tower: tower + 1 }), { class: "map" }));
    const captions = towers.map(() => make("figcaption"));
    const read = make("p", { class: "read", role: "status" }, words.hint), table = make("div", { class: "scroll" });
    const lies = [], flow = lecture.flow({ words: words.flow, pick: (stage) => pick(stage.shape.length === 3 ? stage.shown : chosen) });

    function drawTable() {
      const rows = shown === "own" ? site.layers : site.summaries[shown].layers;
      const shape = (row) => (row.shape ?? row.output_shape).join(" × ");
      const sum = (key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
      const cells = (row) => [row.parameters, row.macs].map((n) => make("td", { class: "number" }, n ? whole(n) : ""));
      table.replaceChildren(make("table", { class: "plain" },
        make("thead", {}, make("tr", {}, words.heads.map((head, i) => make("th", { class: i ? "number" : "" }, head)))),
        make("tbody", {}, rows.map((row) => make("tr", { class: shown === "own" && row.name === chosen ? "chosen" : "" },
          make("th", {}, shown === "own" && mapped.some((layer) => layer.name === row.name)
            ? make("button", { type: "button", onclick: () => pick(row.name) }, row.name) : row.name),
          make("td", { class: "number" }, shape(row)), cells(row)))),
        make("tfoot", {}, make("tr", { "data-total": shown }, make("th", {}, words.total), make("td"), ["parameters", "macs"].map((key) => make("td", { class: "number" }, make("b", {}, whole(sum(key)))))))));
    }

    function pick(name) {
      chosen = name;
      unit = null;
      field.hidden = true;
      drawTable();
      drawMaps();
      select.value = name;
    }

    function drawMaps(marked = null) {
      const map = outputs?.[chosen];
      if (!map) return;
      const each = map.shape[0] / count, isSigned = lecture.layer(chosen).kind === "conv" || lecture.layer(chosen).kind === "tanh";
      const columns = Math.ceil(Math.sqrt(each * 1.4));
      towers.forEach((target, tower) => {
        lies[tower] = tiles(target, map, { first: tower * each, count: each, columns, tone: isSigned ? signed : undefined });
        target.setAttribute("aria-label", fill(words.maps, { layer: chosen, count: each, tower: tower + 1 }));
        captions[tower].textContent = fill(count > 1 ? words.tower : words.one_tower, { tower: tower + 1, count: each, side: map.shape[1], layer: chosen });
        if (marked) mark(target, lies[tower], marked);
      });
    }

    /** Frames units in every map of a tower. */
    function mark(target, { columns, count: channels, width, height, gap }, units) {
      const context = target.getContext("2d");
      context.fillStyle = "rgb(214 96 28 / .75)";
      for (let c = 0; c < channels; c++)
        context.fillRect((c % columns) * (width + gap) + units.left, Math.floor(c / columns) * (height + gap) + units.top, units.right - units.left, units.bottom - units.top);
    }

    function showUnit(tower, channel, y, x) {
      const map = outputs[chosen], { size, step, start } = lecture.receptiveField(site.layers, chosen), side = site.input_size;
      unit = { tower, channel, y, x };
      const [top, left] = [start + y * step, start + x * step];
      const clip = (at) => Math.max(0, Math.min(side, at));
      field.hidden = false;
      Object.assign(field.style, { left: `${(100 * clip(left)) / side}%`, top: `${(100 * clip(top)) / side}%`, width: `${(100 * (clip(left + size) - clip(left))) / side}%`, height: `${(100 * (clip(top + size) - clip(top))) / side}%` });
      field.dataset.box = [clip(top), clip(left), clip(top + size), clip(left + size)].join();
      const value = map.data[(channel * map.shape[1] + y) * map.shape[2] + x];
      read.textContent = fill(words.unit, { layer: chosen, channel, y, x, value: value.toFixed(3), size });
    }

    towers.forEach((target, tower) => {
      const at = (event) => {
        if (!outputs) return;
        const box = target.getBoundingClientRect(), { columns, width, height, gap, first, count: channels } = lies[tower];
        const px = ((event.clientX - box.left) / box.width) * target.width, py = ((event.clientY - box.top) / box.height) * target.height;
        const column = Math.min(columns - 1, Math.floor(px / (width + gap))), row = Math.floor(py / (height + gap)), channel = row * columns + column;
        if (channel >= channels || channel < 0) return;
        showUnit(tower, first + channel, Math.min(height - 1, Math.floor(py - row * (height + gap))), Math.min(width - 1, Math.floor(px - column * (width + gap))));
      };
      target.tabIndex = 0;
      target.addEventListener("pointermove", at);
      target.addEventListener("pointerdown", at);
      target.addEventListener("focus", () => { if (outputs && unit?.tower !== tower) showUnit(tower, lies[tower].first, 0, 0); });
      target.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!step || !unit) return;
        event.preventDefault();
        event.stopPropagation();
        const { width, height, first, count: channels } = lies[tower];
        let { channel, y, x } = unit;
        [y, x] = [y + step[0], x + step[1]];
        if (x < 0 || x >= width) { channel = Math.max(first, Math.min(first + channels - 1, channel + Math.sign(x))); x = x < 0 ? width - 1 : 0; }
        showUnit(tower, channel, Math.max(0, Math.min(height - 1, y)), x);
      });
    });

    /** Which units of the chosen layer see a pixel: rows and columns from `first` to before `last`. */
    function seers(pixel, side) {
      const { size, step, start } = lecture.receptiveField(site.layers, chosen);
      const first = Math.max(0, Math.ceil((pixel - start - size + 1) / step)), last = Math.min(side, Math.floor((pixel - start) / step) + 1);
      return [first, Math.max(first, last)];
    }
    let pixel = [Math.floor(site.input_size / 2), Math.floor(site.input_size / 2)];
    function showPixel(y, x) {
      if (!outputs) return;
      const limit = (at) => Math.max(0, Math.min(site.input_size - 1, at));
      pixel = [limit(y), limit(x)];
      const side = outputs[chosen].shape[1], [top, bottom] = seers(pixel[0], side), [left, right] = seers(pixel[1], side);
      field.hidden = true;
      drawMaps({ top, bottom, left, right });
      read.textContent = fill(words.pixel, { y: pixel[0], x: pixel[1], count: (bottom - top) * (right - left), all: side * side, layer: chosen });
    }
    draggable(picture, (x, y) => showPixel(Math.floor(y * site.input_size), Math.floor(x * site.input_size)), (dx, dy) => showPixel(pixel[0] + dy, pixel[1] + dx));

    const select = make("select", { "aria-label": words.layer, onchange: () => pick(select.value) }, mapped.map((layer) => make("option", { value: layer.name }, `${layer.name}   ${layer.shape.join(" × ")}`)));
    const published = [["own", words.own], ["alexnet", words.lectures], ["alexnet-two-tower", words.papers]];
    stage.append(
      make("figure", {}, make("div", { class: "scroll" }, flow.element), make("figcaption", {}, words.flow_hint)),
      make("div", { class: "controls" }, make("label", {}, `${words.layer} `, select), read),
      make("div", { class: "see" }, make("figure", {}, holder, make("figcaption", {}, words.picture_hint)),
        towers.map((target, i) => make("figure", {}, target, captions[i]))),
      make("p", { class: "hint" }, words.how),
      make("div", {}, make("h3", {}, words.table), choice(words.table, published, shown, (key) => { shown = key; drawTable(); }), table));
    drawTable();
    return async ({ rgb }) => {
      const result = await lecture.run(lecture.pixels.input(rgb), {}, [...mapped.map((layer) => layer.name), ...flow.keep]);
      const cut = lecture.pixels.seen(rgb);
      ({ outputs } = result);
      flow.draw(result, cut);
      paint(picture, cut, site.input_size);
      drawMaps();
    };
  });
}
