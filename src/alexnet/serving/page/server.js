// The engine that asks the service which this page came from.

const ROOT = new URL("./", location.href);
const TRIES = 6;
const TOP = 5;
const METHODS = ["occlusion", "gradcam", "gradient"];

/** What went wrong, in a sentence for people. */
export class Trouble extends Error {}

const seconds = (response) => Math.min(60, Math.max(1, Number(response.headers.get("Retry-After")) || 2));
const wait = (s) => new Promise((resume) => setTimeout(resume, 1000 * s));
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Returns what the service says of a refusal; it answers in JSON, a proxy before it may not. */
async function sentence(response) {
  const text = await response.text();
  try {
    const { error, detail } = JSON.parse(text);
    if (typeof (error ?? detail) === "string") return error ?? detail;
  } catch { /* no JSON */ }
  if (response.status === 413) return "The service takes no picture as large as this.";
  return `The service refused: ${response.status} ${response.statusText}`.trim();
}

/** Names pictures by a service. `door` returns a token from the person; `tell` says why an answer takes time. */
export class Engine {
  place = "Pictures go to this service, which does not keep them.";

  constructor({ door, tell }) {
    this.door = door;
    this.tell = tell;
  }

  async models() {
    const models = await this.#call("models");
    if (!models.length) throw new Trouble("The service has no network.");
    return models;
  }

  /** Returns what can be done with a network beyond naming. */
  offers(model) {
    return {
      views: model.views ?? [1, 10],
      explain: METHODS,
      neighbours: Boolean(model.has_index),
      activations: model.layers ?? [],
      correct: model.takes_corrections ?? false,
    };
  }

  async predict(file, model, { views }) {
    const { pictures: [answer] } = await this.#call("predict", { model: model.name, top: TOP, views }, file);
    if (answer.error) throw new Trouble(answer.error);
    return answer;
  }

  explain(file, model, { method, class: name }) {
    return this.#call("explain", { model: model.name, method, class: name }, file);
  }

  async neighbours(file, model) {
    return (await this.#call("neighbours", { model: model.name, top: 10 }, file)).neighbours;
  }

  activations(file, model, layer) {
    return this.#call("activations", { model: model.name, layer }, file);
  }

  correct(file, model, name) {
    return this.#call("corrections", { model: model.name, class: name, name: file.name }, file);
  }

  /** Returns the command that gives the same answer. */
  command(file, model, { views }) {
    const address = new URL(`predict?${new URLSearchParams({ model: model.name, top: TOP, views })}`, ROOT);
    const token = this.#token() ? " \\\n  -H \"Authorization: Bearer $TOKEN\"" : "";
    return `curl --data-binary ${quoted(`@${file.name}`)} \\\n  -H 'Content-Type: application/octet-stream'${token} \\\n  ${quoted(address.href)}`;
  }

  #token() {
    return sessionStorage.getItem("token");
  }

  async #call(path, parameters = {}, file) {
    const url = new URL(path, ROOT);
    url.search = new URLSearchParams(parameters);
    for (let tries = 1; ; tries++) {
      const sent = this.#token();
      const response = await this.#fetch(url, file, sent);
      if (response.ok) return response.json();
      const pause = seconds(response);
      if (response.status === 401) {
        if (this.#token() === sent) sessionStorage.setItem("token", await this.door(Boolean(sent)));
        continue;
      }
      if (![429, 503].includes(response.status) || tries === TRIES) throw new Trouble(await sentence(response));
      const why = response.status === 429 ? "The service is busy" : "The service is not ready yet";
      this.tell(`${why}; trying again in ${pause} s.`);
      await wait(pause);
    }
  }

  async #fetch(url, file, token) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    if (file) headers["Content-Type"] = file.type || "application/octet-stream";
    try {
      return await fetch(url, { method: file ? "POST" : "GET", body: file, headers, cache: "no-store" });
    } catch {
      // A service that breaks off a picture which is too large looks like one that is gone.
      const lives = await fetch(new URL("v2/health/live", ROOT)).then((health) => health.ok, () => false);
      throw new Trouble(lives && file
        ? `The service broke off this picture of ${(file.size / 1e6).toFixed(1)} MB; it may be too large.`
        : "The service does not answer. Is it still running?");
    }
  }
}
