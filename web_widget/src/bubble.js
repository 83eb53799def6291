// One message on the screen. Built once; `update` brings its state (ticks, pressed choices, form) up to date.
import { el, hiddenText, icon } from "./dom.js";
import { Form } from "./form.js";
import { allowed, anchor, linkify } from "./text.js";

const PLAIN = ["text", "buttons", "form", "system"];
const WHO = { visitor: "you", agent: "agent" };

// What a message says, whatever its kind.
export const wording = (content, words) => {
  if (content.type === "reply") return content.title || content.id || "";
  if (content.type === "form_reply") {
    if (content.cancelled) return words.say("cancelled");
    return Object.values(content.values || {}).filter(Boolean).join("\n") || words.say("answered");
  }
  return content.text || (PLAIN.includes(content.type) ? "" : words.say("other"));
};

const listSources = (sources, links, words) => {
  const items = sources.map((source) => {
    const url = source.url && allowed(source.url, links);
    const title = source.title || source.url || words.say("sources");
    const page = source.page ? el("span", { class: "page", text: words.say("page", source.page) }) : null;
    return el("li", { dir: "auto" }, url ? anchor(url, title) : el("span", { text: title }), page);
  });
  return el(
    "div",
    { class: "sources" },
    el("p", { class: "caption", text: words.say("sources") }),
    el("ul", { "aria-label": words.say("sources") }, ...items),
  );
};

export class Bubble {
  #words;
  #act;
  #time = el("time");
  #tick = el("span", { class: "tick" });
  #failed = el("div", { class: "failed", hidden: true });
  #shown = null;

  // `act` has: choose(entry, choice, event), answer(entry, values, cancelled), retry(key), remove(key).
  constructor(entry, words, links, kept, act) {
    this.#words = words;
    this.#act = act;
    this.form = null;
    this.choices = null;
    const { content, from } = entry;
    const system = content.type === "system";
    const text = wording(content, words);
    const who = el("p", { class: "who", text: words.say(WHO[from] || "bot") });
    const body = el("div", { class: "body", dir: "auto" });
    if (text) body.append(el("p", { class: "text", dir: "auto" }, ...linkify(text, links)));
    if (content.sources?.length) body.append(listSources(content.sources, links, words));
    if (content.type === "form") {
      this.form = new Form(content, words, kept, (values, cancelled) => act.answer(entry, values, cancelled));
      body.append(this.form.node);
    }
    this.node = el("div", { class: `msg ${system ? "system" : WHO[from] || "bot"}${entry.greeting ? " greeting" : ""}` }, system ? null : who, body);
    if (content.type === "buttons" && content.choices?.length) this.#addChoices(entry);
    if (!system) this.node.append(this.#failed, el("p", { class: "meta" }, this.#time, from === "visitor" && this.#tick));
  }

  #addChoices(entry) {
    this.choices = entry.content.choices.map((choice) => {
      const button = el("button", {
        type: "button",
        class: "choice",
        dir: "auto",
        text: choice.title,
        onclick: (event) => this.#act.choose(entry, choice, event),
      });
      return { id: choice.id, button };
    });
    this.node.append(
      el(
        "div",
        { class: "choices", role: "group", "aria-label": this.#words.say("choices") },
        ...this.choices.map(({ button }) => button),
      ),
    );
  }

  // `pressed`: the id of the choice that was taken, if any; `open`: whether one may still be taken.
  update(entry, { pressed, open, form }) {
    const { date } = entry;
    const state = entry.failed ? "failed" : entry.queued ? "waiting" : "sent";
    this.#time.dateTime = date.toISOString();
    this.#time.textContent = this.#words.time(date);
    this.#time.title = this.#words.full(date);
    if (entry.from === "visitor" && this.#shown !== state) this.#mark(entry, state);
    for (const { id, button } of this.choices || []) {
      button.disabled = !open;
      button.classList.toggle("pressed", id === pressed);
    }
    this.form?.state(form);
  }

  #mark(entry, state) {
    this.#shown = state;
    this.#tick.replaceChildren(
      icon(state === "sent" ? "tick" : state === "failed" ? "alert" : "clock"),
      hiddenText(this.#words.say(state)),
    );
    this.#tick.title = this.#words.say(state);
    this.#tick.dataset.state = state;
    this.node.classList.toggle("pending", state === "waiting");
    this.#failed.hidden = state !== "failed";
    this.#failed.replaceChildren();
    if (state !== "failed") return;
    const button = (word, run) =>
      el("button", { type: "button", class: "link", text: this.#words.say(word), onclick: () => run(entry.key) });
    this.#failed.append(
      el("p", { text: `${this.#words.say("failed")} ${entry.failed}`.trim() }),
      button("retry", this.#act.retry),
      button("remove", this.#act.remove),
    );
  }
}
