"use strict";
/* Growing use: how often the paper is cited, guessed first and then shown. */
{
  const { make, slider, button, bars, whole, fill } = lecture.draw;

  lecture.panel("use", (stage, words) => {
    const most = words.counts.at(-1)[1];
    let guess = 50000;
    const shown = make("div"), read = make("p", { class: "read", role: "status" }, words.hint);
    const draw = (isOpen) => shown.replaceChildren(bars(words.counts.map(([when, count], i) => {
      const isHidden = i === words.counts.length - 1 && !isOpen;
      return { name: when, share: isHidden ? guess / (2 * most) : count / (2 * most), text: isHidden ? "?" : whole(count), tone: isHidden ? "gray" : "" };
    }), words.label));
    stage.append(shown,
      slider({ label: words.guess, min: 0, max: 2 * most, step: 1000, value: guess, show: whole, change: (v) => { guess = v; draw(false); } }),
      make("div", { class: "controls" }, button(words.reveal, () => {
        draw(true);
        read.textContent = fill(words.verdict, { guess: whole(guess), count: whole(most), times: (Math.max(guess, most) / Math.max(1, Math.min(guess, most))).toFixed(1) });
      })), read, make("p", { class: "hint" }, words.sources));
    draw(false);
  });
}
