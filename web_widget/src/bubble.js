// One message on the screen. Built once; `update` brings its state (ticks, pressed choices, form) up to date.
import { el, hiddenText, icon } from "./dom.js";
import { Form } from "./form.js";
import { allowed, anchor, formatted, linkify } from "./text.js";
import { webAddress } from "./theme.js";

const PLAIN = ["text", "buttons", "list", "form", "system"];
const WHO = { visitor: "you", agent: "agent" };

// What a message says, whatever its kind.
export const wording = (content, words) => {
  if (content.type === "reply") return content.title || content.id || "";
  if (content.type === "form_reply") {
    if (content.cancelled) return words.say("cancelled");
    return Object.values(content.values || {}).filter(Boolean).join("\n") || words.say("answered");
  }
  if (content.type === "media") return content.caption || content.name || words.say("other");
  if (content.rich) return content.rich.map((run) => run[1]).join("");
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

const size = (bytes) =>
  bytes > 1048575 ? (bytes / 1048576).toFixed(1) + " MB" : Math.ceil(bytes / 1024) + " kB";

// A file: its picture if there is a small one, else its name and size; both lead to the whole.
const media = ({ link, thumbnail, name, size: bytes, width, height }, base, words) => {
  const address = link && webAddress(new URL(link, base));
  const label = name || words.say("attach");
  const image = thumbnail && el("img", { alt: label, referrerpolicy: "no-referrer", width, height });
  const plain = [icon("file"), el("span", { dir: "auto", text: label }), bytes ? el("small", { text: size(bytes) }) : null];
  const node = el(address ? "a" : "span", { class: "file", ...(address && { target: "_blank", rel: "noopener noreferrer", href: address.href }) });
  node.append(...(image ? [image] : plain.filter(Boolean)));
  if (image) {
    image.addEventListener("error", () => image.replaceWith(...plain.filter(Boolean)));
    image.src = new URL(thumbnail, base).href;
  }
  return node;
};

export class Bubble {
  #words;
  #act;
  #time = el("time");
  #tick = el("span", { class: "tick" });
  #failed = el("div", { class: "failed", hidden: true });
  #progress = el("progress", { max: "100", hidden: true });
  #shown = null;

  // `act` has: choose(entry, choice, event), answer(entry, values, cancelled), retry(key), remove(key).
  // `links`: the origins that may be linked to; `base`: where the gateway is.
  constructor(entry, words, { links, base }, kept, act) {
    this.#words = words;
    this.#act = act;
    this.form = null;
    this.choices = null;
    this.link = entry.content.link;
    const { content, from } = entry;
    const system = content.type === "system";
    const file = content.type === "media";
    const text = file ? content.caption : wording(content, words);
    const who = el("p", { class: "who", text: words.say(WHO[from] || "bot") });
    const body = el("div", { class: "body", dir: "auto" });
    if (file) body.append(media(content, base, words), this.#progress);
    const runs = content.rich ? formatted(content.rich, links) : linkify(text || "", links);
    if (text) body.append(el("p", { class: "text", dir: "auto" }, ...runs));
    if (content.sources?.length) body.append(listSources(content.sources, links, words));
    if (content.type === "form") {
      this.form = new Form(content, words, kept, (values, cancelled) => act.answer(entry, values, cancelled));
      body.append(this.form.node);
    }
    this.node = el("div", { class: `msg ${system ? "system" : WHO[from] || "bot"}${entry.greeting ? " greeting" : ""}` }, system ? null : who, body);
    if (content.choices?.length) this.#addChoices(entry);
    if (from === "bot" && content.sources?.length) this.#addThumbs(entry.id);
    if (!system) this.node.append(this.#failed, el("p", { class: "meta" }, this.#time, from === "visitor" && this.#tick));
  }

  // What the visitor thinks of an answer from documents; pressed again it is taken back.
  #addThumbs(id) {
    const thumbs = ["up", "down"].map((thumb) =>
      el("button", {
        type: "button",
        class: "thumb " + thumb,
        "aria-pressed": "false",
        "aria-label": this.#words.say(thumb),
        title: this.#words.say(thumb),
        onclick: ({ currentTarget: pressed }) => {
          const on = pressed.ariaPressed !== "true";
          if (!this.#act.rate(id, on ? thumb : null)) return;
          for (const button of thumbs) button.ariaPressed = String(on && button === pressed);
        },
      }, icon("thumb")),
    );
    this.node.append(el("div", { class: "thumbs" }, ...thumbs));
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
      if (choice.description) button.append(el("small", { dir: "auto", text: choice.description }));
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
    const going = entry.progress !== undefined && !entry.failed;
    this.#progress.hidden = !going;
    if (going) {
      this.#progress.value = entry.progress;
      this.#progress.setAttribute("aria-label", this.#words.say("sending", entry.progress));
    }
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
      el("p", { text: this.#words.say(entry.progress === undefined ? "failed" : "unsent") }),
      entry.failed.trim() && el("p", { dir: "auto", text: entry.failed }),
      button("retry", this.#act.retry),
      button("remove", this.#act.remove),
    );
  }
}
