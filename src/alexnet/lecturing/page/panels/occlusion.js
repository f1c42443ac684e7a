"use strict";
/* Occlusion: a gray square that the reader drags, then everywhere in turn. */
{
  const { make, button, slider, canvas, paint, draggable, bars, best, fill, percent, shortName, latest } = lecture.draw;
  const GRAY = 128;

  /** A copy of a stored picture with a gray square on it; its sides are clipped by the picture's. */
  lecture.occluded = (rgb, top, left, side, stored = lecture.site.stored_size) => {
    const out = Uint8ClampedArray.from(rgb);
    for (let y = Math.max(0, top); y < Math.min(stored, top + side); y++)
      for (let x = Math.max(0, left); x < Math.min(stored, left + side); x++) out.fill(GRAY, (y * stored + x) * 3, (y * stored + x + 1) * 3);
    return out;
  };

  lecture.panel("occlusion", (stage, words) => {
    const { site, pixels } = lecture, stored = site.stored_size;
    let side = Math.round(stored / 4), centre = [stored / 2, stored / 2], rgb = null, usual = null, aim = 0, round = 0;
    const picture = canvas(stored, stored, words.picture), patch = make("div", { class: "patch" }), heat = canvas(stored, stored, words.map);
    const answers = make("div"), read = make("p", { class: "read", role: "status" }), progress = make("p", { class: "hint", role: "status" }, words.map_hint);
    const corner = () => centre.map((at) => Math.round(at - side / 2));

    const answer = latest(async () => {
      const [top, left] = corner();
      const { probabilities } = await lecture.run(pixels.input(lecture.occluded(rgb, top, left, side)));
      answers.replaceChildren(bars(best(usual, 5).map((i) => ({ name: shortName(i), share: probabilities[i], before: usual[i] })), words.answers));
      read.textContent = fill(words.left, { name: shortName(aim), before: percent(usual[aim]), after: percent(probabilities[aim]) });
      read.dataset.after = probabilities[aim];
    });
    function update() {
      const [top, left] = corner(), share = (n) => `${(100 * n) / stored}%`, clip = (n) => Math.max(0, Math.min(stored, n));
      Object.assign(patch.style, { top: share(clip(top)), left: share(clip(left)), width: share(clip(left + side) - clip(left)), height: share(clip(top + side) - clip(top)) });
      if (rgb) answer();
    }
    const limit = (at) => Math.max(0, Math.min(stored, at));
    draggable(picture, (x, y) => { centre = [limit(y * stored), limit(x * stored)]; update(); }, (dx, dy) => { centre = [limit(centre[0] + 4 * dy), limit(centre[1] + 4 * dx)]; update(); });

    /** The probability of the first guess with the square around every place of a grid. */
    async function everywhere() {
      const own = ++round, places = 9, margin = (stored - site.input_size) / 2, step = site.input_size / places, left = [];
      for (let i = 0; i < places * places; i++) {
        const [y, x] = [margin + (Math.floor(i / places) + 0.5) * step, margin + ((i % places) + 0.5) * step];
        const { probabilities } = await lecture.run(pixels.input(lecture.occluded(rgb, Math.round(y - side / 2), Math.round(x - side / 2), side)));
        if (own !== round) return;
        left.push(probabilities[aim]);
        progress.textContent = fill(words.progress, { done: i + 1, all: places * places });
      }
      drawHeat(left, places, margin);
      progress.textContent = fill(words.done, { name: shortName(aim), least: percent(Math.min(...left)), before: percent(usual[aim]) });
    }
    function drawHeat(left, places, margin) {
      const gray = rgb.map((_, i) => (rgb[i - (i % 3)] + rgb[i - (i % 3) + 1] + rgb[i - (i % 3) + 2]) / 3);
      paint(heat, gray);
      const small = document.createElement("canvas"), most = Math.max(usual[aim], 1e-6);
      small.width = small.height = places;
      const context = small.getContext("2d"), image = context.createImageData(places, places);
      left.forEach((p, i) => image.data.set([214, 96, 28, 215 * Math.max(0, Math.min(1, 1 - p / most))], 4 * i));
      context.putImageData(image, 0, 0);
      const target = heat.getContext("2d");
      target.imageSmoothingQuality = "high";
      target.drawImage(small, margin, margin, stored - 2 * margin, stored - 2 * margin);
    }

    stage.append(make("div", { class: "split" },
      make("figure", {}, make("div", { class: "shown" }, picture, patch), make("figcaption", {}, words.drag)),
      make("div", {}, slider({ label: words.side, min: 4, max: Math.round(stored * 0.6), step: 1, value: side, show: (v) => `${v} px`, change: (v) => { side = v; update(); } }), make("h3", {}, words.answers), answers, read, make("p", { class: "hint" }, words.mark)),
      make("figure", {}, make("div", { class: "shown" }, heat), make("figcaption", {}, button(words.all, everywhere, { id: "everywhere" }), progress))));
    return async ({ rgb: bytes }) => {
      rgb = bytes;
      round++;
      ({ probabilities: usual } = await lecture.run(pixels.input(rgb)));
      [aim] = best(usual, 1);
      paint(picture, rgb);
      paint(heat, rgb);
      progress.textContent = words.map_hint;
      update();
    };
  });
}
