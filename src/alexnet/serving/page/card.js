// One picture with its answer, and the panels below it, which are filled when they are opened.

const METHODS = { occlusion: "Occlusion", gradcam: "Grad-CAM", gradient: "Gradient" };

export const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

function element(kind, settings = {}, ...children) {
  const made = Object.assign(document.createElement(kind), settings);
  made.append(...children);
  return made;
}

const hint = (text) => element("p", { className: "hint", textContent: text });

export class Card {
  constructor(file) {
    this.file = file;
    this.isPicture = file.size > 0 && (file.type.startsWith("image/") || !file.type);
    this.element = document.getElementById("picture").content.firstElementChild.cloneNode(true);
    this.element.card = this;
    this.#wait(true);
    const image = this.#find("figure img");
    image.alt = `The picture ${file.name}`;
    image.addEventListener("error", () => image.replaceWith(hint("Your browser cannot show this kind of picture.")), { once: true });
    if (this.isPicture) image.src = URL.createObjectURL(file);
    else image.remove();
    this.#find("figcaption").textContent = file.name;
    for (const panel of this.element.querySelectorAll("details")) {
      panel.addEventListener("toggle", () => { if (panel.open) this.#fill(panel); });
    }
    this.#find(".method").addEventListener("change", () => this.#explain());
    this.#find(".class").addEventListener("change", () => this.#explain());
    this.#find(".layer").addEventListener("change", () => this.#activations());
    this.#find("[data-panel=correct] form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#correct();
    });
    this.#find("[data-panel=command] button").addEventListener("click", (event) => this.#copy(event.target));
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }

  /** Has the picture named, and shows the answer; returns it in a sentence. */
  async name(engine, model, options) {
    Object.assign(this, { engine, model, options });
    this.#wait(true);
    try {
      if (!this.isPicture) throw new Error(this.file.size ? "This is no picture." : "This file is empty.");
      this.answer = await engine.predict(this.file, model, options);
      return this.#show();
    } catch (error) {
      this.#find("h2").textContent = "No answer";
      this.#find(".trouble").textContent = error.message;
      this.#find(".trouble").hidden = false;
      this.#find(".guesses").replaceChildren();
      for (const panel of this.element.querySelectorAll("details")) panel.hidden = true;
      return `${this.file.name}: no answer`;
    } finally {
      this.#wait(false);
    }
  }

  #wait(isWaiting) {
    this.element.setAttribute("aria-busy", isWaiting);
  }

  #show() {
    const { guesses, unsure, calibrated } = this.answer, [best] = guesses;
    const title = unsure ? "It does not know" : best.label;
    this.element.classList.toggle("unsure", Boolean(unsure));
    this.#find("h2").textContent = title;
    this.#find(".trouble").hidden = true;
    this.#find(".guesses").replaceChildren(...guesses.map(({ label, probability }) => {
      const bar = element("i");
      bar.style.width = `${100 * probability}%`;
      return element("li", {}, bar, element("span", { className: "who", textContent: label }),
        element("span", { className: "value", textContent: percent(probability) }));
    }));
    this.#find(".about").textContent = [
      unsure && "It is not sure enough of any class; these are its best guesses.",
      typeof calibrated === "number" && `As sure as here, it was right for ${percent(calibrated)} of the pictures that it was tested on.`,
      this.options.views === 10 && "The bars are the mean of ten views.",
    ].filter(Boolean).join(" ");
    this.#offer();
    return unsure ? `${this.file.name}: it does not know` : `${this.file.name}: ${best.label}, ${percent(best.probability)}`;
  }

  /** Shows the panels that the engine can fill, and fills anew those that are open. */
  #offer() {
    const offers = this.engine.offers(this.model);
    const command = this.engine.command?.(this.file, this.model, this.options);
    this.#find(".method").replaceChildren(...offers.explain.map((method) => new Option(METHODS[method], method)));
    this.#find(".class").replaceChildren(...this.answer.guesses.map((guess) => new Option(guess.label, guess.class)));
    this.#find(".layer").replaceChildren(...offers.activations.map((layer) => new Option(layer)));
    this.#find(".right").setAttribute("list", "classes");
    this.#find("[data-panel=command] code").textContent = command ?? "";
    const able = { explain: offers.explain.length, neighbours: offers.neighbours, activations: offers.activations.length, correct: offers.correct, command };
    for (const panel of this.element.querySelectorAll("details")) {
      panel.hidden = !able[panel.dataset.panel];
      panel.isFilled = false;
      if (panel.open) this.#fill(panel);
    }
  }

  #fill(panel) {
    if (panel.isFilled || !this.answer) return;
    panel.isFilled = true;
    ({ explain: () => this.#explain(), neighbours: () => this.#neighbours(), activations: () => this.#activations() })[panel.dataset.panel]?.();
  }

  /** Shows in `place` what `work` returns, or why it does not; an answer that a later one overtook is dropped. */
  async #into(place, work) {
    const turn = place.turn = {};
    place.replaceChildren(hint("Looking …"));
    let nodes;
    try {
      nodes = await work((part) => { if (place.turn === turn) place.replaceChildren(hint(`Looking, ${Math.round(100 * part)} % …`)); });
    } catch (error) {
      nodes = [element("p", { className: "trouble", textContent: error.message })];
    }
    if (place.turn === turn) place.replaceChildren(...nodes);
  }

  #explain() {
    const method = this.#find(".method").value, chosen = this.#find(".class");
    return this.#into(this.#find(".map"), async (progress) => {
      const shown = await this.engine.explain(this.file, this.model, { method, class: chosen.value, progress });
      const label = shown.label ?? chosen.selectedOptions[0].textContent;
      const picture = element("img", { src: shown.map, alt: `The picture in gray; in colour where ${METHODS[method]} finds ${label}` });
      if (shown.passed === undefined) return [picture, hint("This map was not checked; alexnet explain and the page of alexnet serve check theirs.")];
      const verdict = element("p", { className: shown.passed ? "passed" : "trouble" });
      verdict.textContent = shown.passed ? "Passes its checks" : `Not to be trusted: ${shown.failure ?? "it fails its checks"}.`;
      return [picture, verdict];
    });
  }

  #neighbours() {
    return this.#into(this.#find("[data-panel=neighbours] > div"), async () => {
      const alike = await this.engine.neighbours(this.file, this.model);
      if (!alike.length) return [hint("None was found.")];
      return [element("ul", { className: "gallery" }, ...alike.map(({ picture, label, distance, thumbnail }) => {
        const caption = element("figcaption", {}, label, element("br"), element("span", { className: "soft", textContent: `distance ${distance.toFixed(2)}` }));
        const image = thumbnail ? [element("img", { src: thumbnail, alt: `Training picture ${picture}`, title: picture })] : [];
        return element("li", {}, element("figure", {}, ...image, caption));
      }))];
    });
  }

  #activations() {
    const layer = this.#find(".layer").value;
    return this.#into(this.#find(".maps"), async () => {
      const { shape, towers } = await this.engine.activations(this.file, this.model, layer);
      const size = shape.length > 2 ? `${shape.at(-3)} maps of ${shape.at(-2)} × ${shape.at(-1)}` : `${shape.at(-1)} units`;
      return [hint(`${layer}: ${size}`), ...towers.map((source, number) => {
        const name = towers.length > 1 ? `tower ${number + 1}` : "all maps";
        return element("figure", {}, element("img", { src: source, alt: `${layer}, ${name}` }), element("figcaption", { className: "hint", textContent: name }));
      })];
    });
  }

  async #correct() {
    const right = this.#find(".right"), status = this.#find("[data-panel=correct] [role=status]");
    if (!this.model.classes.includes(right.value.trim())) {
      status.textContent = "The network has no such class; choose one from the list.";
      return;
    }
    try {
      await this.engine.correct(this.file, this.model, right.value.trim());
      status.textContent = `Noted as “${right.value.trim()}”. Thank you.`;
    } catch (error) {
      status.textContent = error.message;
    }
  }

  async #copy(button) {
    const code = this.#find("[data-panel=command] code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch { // browsers keep the clipboard from pages without TLS
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }
}
