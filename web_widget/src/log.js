// The list of messages: keeps the bubbles in order, groups them, separates days and minds the scroll position.
import { Bubble } from "./bubble.js";
import { el, hiddenText } from "./dom.js";

const NEAR = 80;
const GROUP = 120000;

// What later messages mean for earlier ones: choices taken, forms answered or replaced.
const consequences = (entries) => {
  const said = entries.filter((entry) => entry.from === "visitor");
  const lastForm = entries.findLast((entry) => entry.content.type === "form");
  return (entry) => {
    const at = entries.indexOf(entry);
    const reply = said.findLast((other) => other.content.to === entry.id && other.content.type !== "text");
    const after = entries.slice(at + 1);
    let form = "active";
    if (entry !== lastForm) form = "done";
    else if (reply && !reply.failed) {
      const heard = entries.slice(entries.indexOf(reply) + 1).some((other) => other.from !== "visitor");
      form = heard && !reply.queued ? "done" : "awaiting";
    }
    return {
      pressed: reply?.content.id,
      open: !after.some((other) => other.from === "visitor"),
      form,
    };
  };
};

export class Log {
  #words;
  #act;
  #links = [];
  #base = "";
  #bubbles = new Map();
  #days = new Map();
  #expectsAnswer = false;

  constructor(words, act) {
    this.#words = words;
    this.#act = act;
    this.list = el("div", { class: "list", role: "log", "aria-live": "polite", "aria-label": words.say("log") });
    this.earlier = el("button", { type: "button", class: "pill earlier", hidden: true, text: words.say("earlier"), onclick: act.more });
    this.typing = el("div", { class: "typing", role: "status", hidden: true });
    this.newer = el("button", { type: "button", class: "pill newer", hidden: true, text: words.say("newer"), onclick: () => this.bottom() });
    this.node = el(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": words.say("log") },
      this.earlier,
      this.list,
      this.typing,
    );
    this.node.addEventListener("scroll", () => {
      if (this.#near()) this.#hide(this.newer, true);
      if (this.node.scrollTop < 40 && !this.earlier.hidden) act.more();
    });
    // A phone's keyboard shrinks the panel; the last message stays in sight.
    let near = true;
    this.node.addEventListener("scroll", () => (near = this.#near()));
    const stay = () => near && this.bottom();
    new ResizeObserver(stay).observe(this.node);
    // A picture that comes late moves nothing out of sight.
    this.node.addEventListener("load", stay, true);
  }

  set links(links) {
    this.#links = links;
  }

  set base(base) {
    this.#base = base;
  }

  #near() {
    const { scrollHeight, scrollTop, clientHeight } = this.node;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  bottom() {
    this.node.scrollTop = this.node.scrollHeight;
    this.#hide(this.newer, true);
  }

  // A button that goes away hands the focus to the messages.
  #hide(button, hidden) {
    const held = hidden && this.node.getRootNode().activeElement === button;
    button.hidden = hidden;
    if (held) this.node.focus({ preventScroll: true });
  }

  // The sent form can no longer hold the focus; if it comes back with errors, its visitor is led to the first.
  answered() {
    this.#expectsAnswer = true;
    this.node.focus({ preventScroll: true });
  }

  // `text`: the answer as far as it is written. Screen readers hear the whole of it once it is a message.
  showTyping(on, text) {
    if (!on && this.typing.hidden) return;
    const near = this.#near();
    this.typing.hidden = !on;
    const dots = on ? [el("i"), el("i"), el("i"), hiddenText(this.#words.say("typing"))] : [];
    this.typing.replaceChildren(...(text ? [el("p", { class: "text", dir: "auto", "aria-hidden": "true", text })] : dots));
    if (near) this.bottom();
  }

  clear() {
    this.#bubbles.clear();
    this.#days.clear();
    this.list.replaceChildren();
  }

  // `quiet`: history, which a screen reader need not read out.
  show(entries, { more, quiet }) {
    const near = this.#near();
    const { scrollHeight, scrollTop } = this.node;
    const last = entries.at(-1);
    const fresh = last && !this.#bubbles.has(last.key);
    const latest = entries.findLast((entry) => entry.content.type === "form");
    const arrived = latest && !this.#bubbles.has(latest.key);
    const oldest = this.list.querySelector(".msg");
    this.list.setAttribute("aria-live", quiet ? "off" : "polite");
    this.#place(entries);
    this.#hide(this.earlier, !more);
    const grewAbove = oldest && oldest !== this.list.querySelector(".msg");
    if (near || (fresh && last.from === "visitor")) this.bottom();
    else if (grewAbove) this.node.scrollTop = scrollTop + this.node.scrollHeight - scrollHeight;
    else if (fresh) this.newer.hidden = false;
    if (quiet) requestAnimationFrame(() => this.list.setAttribute("aria-live", "polite"));
    if (arrived) this.#leadToError(this.#bubbles.get(latest.key).form);
  }

  #leadToError(form) {
    const active = this.node.getRootNode().activeElement;
    if (this.#expectsAnswer && form.wrong && (!active || this.node.contains(active))) form.wrong.focus();
    this.#expectsAnswer = false;
  }

  #place(entries) {
    const consequence = consequences(entries);
    const used = new Set(entries.map((entry) => entry.key));
    for (const [key, bubble] of this.#bubbles) {
      if (used.has(key)) continue;
      bubble.node.remove();
      this.#bubbles.delete(key);
    }
    let kept = {};
    let previous = null;
    let cursor = this.list.firstChild;
    const put = (node) => {
      if (node === cursor) cursor = cursor.nextSibling;
      else this.list.insertBefore(node, cursor);
    };
    const days = new Set();
    for (const entry of entries) {
      const day = entry.date.toDateString();
      if (day !== previous?.date.toDateString()) {
        days.add(day);
        put(this.#day(day, entry.date));
      }
      let bubble = this.#bubbles.get(entry.key);
      // A file has an address once the gateway has it.
      if (bubble && bubble.link !== entry.content.link) {
        if (bubble.node === cursor) cursor = cursor.nextSibling;
        bubble.node.remove();
        bubble = null;
      }
      if (!bubble) {
        bubble = new Bubble(entry, this.#words, { links: this.#links, base: this.#base }, kept, this.#act);
        this.#bubbles.set(entry.key, bubble);
      }
      bubble.update(entry, consequence(entry));
      if (bubble.form) kept = bubble.form.values;
      put(bubble.node);
      this.#group(entry, bubble, previous);
      previous = entry;
    }
    for (const [day, node] of this.#days) {
      if (days.has(day)) continue;
      node.remove();
      this.#days.delete(day);
    }
  }

  // Messages of one sender within two minutes read as one: name once, time once.
  #group(entry, bubble, previous) {
    const joins =
      previous !== null &&
      previous.from === entry.from &&
      previous.content.type !== "system" &&
      entry.content.type !== "system" &&
      entry.date - previous.date < GROUP;
    bubble.node.classList.toggle("joined", joins);
    if (previous) this.#bubbles.get(previous.key).node.classList.toggle("leads", joins);
    bubble.node.classList.remove("leads");
  }

  #day(day, date) {
    if (!this.#days.has(day)) this.#days.set(day, el("div", { class: "day" }, el("span")));
    const node = this.#days.get(day);
    const label = this.#words.day(date);
    if (node.textContent !== label) node.firstChild.textContent = label;
    return node;
  }
}
