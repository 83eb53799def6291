// Launcher and panel, inside a shadow root.
import { el, icon } from "./dom.js";
import { Log } from "./log.js";
import { shades, webAddress } from "./theme.js";
import css from "./widget.css";

const LIMIT = 4000;
const NEAR_LIMIT = 200;

export class View {
  #words;
  #act;
  #sheet = new CSSStyleSheet();
  #shadow;
  #root;
  #announced = "";
  isOpen = false;

  // `act` has: say(text) → bool, typing(), toggle(), close(), sound(), and what the log needs.
  constructor(host, act) {
    this.#act = act;
    this.#shadow = host.attachShadow({ mode: "open" });
    this.#sheet.replaceSync(css);
    this.#shadow.adoptedStyleSheets = [this.#sheet];
    this.#fitKeyboard();
  }

  // Builds everything in the words' language; called again when the language changes.
  build(words) {
    const draft = this.input?.value || "";
    this.#words = words;
    this.#announced = "";
    this.log = new Log(words, this.#act);
    this.badge = el("span", { class: "badge", "aria-hidden": "true", hidden: true });
    this.launcher = el(
      "button",
      { type: "button", class: "launcher", "aria-haspopup": "dialog", "aria-controls": "panel", onclick: this.#act.toggle },
      icon("chat"),
      icon("down"),
      this.badge,
    );
    this.live = el("div", { class: "sr", role: "status" });
    this.panel = el(
      "section",
      { class: "panel", id: "panel", role: "dialog", "aria-modal": "false", "aria-labelledby": "title", hidden: !this.isOpen },
      this.#header(),
      this.#banner(),
      el("div", { class: "middle" }, this.log.node, this.log.newer),
      this.#composer(),
      el("p", { class: "drop", "aria-hidden": "true", text: words.say("drop") }),
    );
    this.#droppable();
    this.#root?.remove();
    this.#root = el("div", { class: "root", lang: words.language, dir: words.dir }, this.panel, this.launcher, this.live);
    this.#root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.isOpen && !event.isComposing) this.#act.close();
    });
    // The page's own shortcuts stay out of what is typed here.
    for (const type of ["keydown", "keypress", "keyup"]) {
      this.#root.addEventListener(type, (event) => event.stopPropagation());
    }
    this.#shadow.append(this.#root);
    this.input.value = draft;
    this.#measure();
    this.unread(0);
  }

  #header() {
    this.title = el("h2", { id: "title", class: "title", dir: "auto" });
    this.face = el("span", { class: "face", "aria-hidden": "true" }, icon("chat"));
    this.sound = el("button", {
      type: "button",
      class: "tool",
      "aria-label": this.#words.say("sound"),
      title: this.#words.say("sound"),
      onclick: this.#act.sound,
    });
    const close = el(
      "button",
      { type: "button", class: "tool", "aria-label": this.#words.say("close"), title: this.#words.say("close"), onclick: this.#act.close },
      icon("close"),
    );
    return el(
      "div",
      { class: "header" },
      this.face,
      el("div", { class: "names" }, this.title, el("p", { class: "subtitle", text: this.#words.say("subtitle") })),
      this.sound,
      close,
    );
  }

  #banner() {
    this.banner = el("div", { class: "banner", role: "status" });
    return this.banner;
  }

  #composer() {
    this.input = el("textarea", {
      id: "message",
      rows: "1",
      placeholder: this.#words.say("write"),
      "aria-describedby": "counter",
      autocomplete: "off",
      enterkeyhint: "send",
    });
    this.counter = el("p", { class: "counter", id: "counter", hidden: true });
    this.sendButton = el(
      "button",
      { type: "submit", class: "send", "aria-label": this.#words.say("send"), title: this.#words.say("send") },
      icon("send"),
    );
    const files = el("input", { type: "file", multiple: true, hidden: true, onchange: () => this.#attach(files) });
    const attach = el(
      "button",
      {
        type: "button",
        class: "attach",
        "aria-label": this.#words.say("attach"),
        title: this.#words.say("attach"),
        onclick: () => files.click(),
      },
      icon("clip"),
    );
    this.attachButton = attach;
    const form = el(
      "form",
      { class: "composer" },
      el("label", { for: "message", class: "sr", text: this.#words.say("label") }),
      el("div", { class: "box" }, this.input, files, attach, this.sendButton),
      this.counter,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.input.addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.#act.attach(event.clipboardData.files);
    });
    this.input.addEventListener("input", () => {
      this.#measure();
      this.#act.draft(this.input.value);
      if (this.input.value.trim()) this.#act.typing();
    });
    this.input.addEventListener("keydown", (event) => {
      // While an input method composes, Enter belongs to it (keyCode 229 is Safari's way to say so).
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#submit();
    });
    return form;
  }

  #attach(files) {
    this.#act.attach(files.files);
    files.value = "";
    this.input.focus();
  }

  // Files may be dropped anywhere on the panel; text is dropped into the field as ever.
  #droppable() {
    const carries = (event) => event.dataTransfer.types.includes("Files") && !this.input.disabled;
    const mark = (on) => this.panel.classList.toggle("dropping", on);
    this.panel.addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      mark(true);
    });
    this.panel.addEventListener("dragleave", (event) => this.panel.contains(event.relatedTarget) || mark(false));
    this.panel.addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      mark(false);
      this.#act.attach(event.dataTransfer.files);
    });
  }

  #submit() {
    const text = this.input.value.trim();
    if (!text || text.length > LIMIT || !this.#act.say(text)) return this.input.focus();
    this.write("");
    this.input.focus();
  }

  write(text) {
    this.input.value = text;
    this.#act.draft(text);
    this.#measure();
  }

  #measure() {
    const length = this.input.value.trim().length;
    const left = LIMIT - length;
    this.input.style.setProperty("height", "auto");
    if (this.isOpen) this.input.style.setProperty("height", Math.min(this.input.scrollHeight, 120) + "px");
    // An empty field has no direction of its own: its placeholder follows the page's.
    this.input.dir = length ? "auto" : this.#words.dir;
    this.counter.hidden = left > NEAR_LIMIT;
    this.counter.textContent = this.counter.hidden ? "" : this.#words.say(left < 0 ? "over" : "left", Math.abs(left));
    this.counter.classList.toggle("bad", left < 0);
    this.input.setAttribute("aria-invalid", String(left < 0));
    this.sendButton.disabled = length === 0 || left < 0;
  }

  // The phone's keyboard covers the page's bottom; the panel ends where it begins.
  #fitKeyboard() {
    const screen = window.visualViewport;
    if (!screen) return;
    const fit = () => {
      // Zoomed in by the fingers, the panel keeps its size.
      if (screen.scale > 1.01) return;
      this.#root?.style.setProperty("--height", Math.round(screen.height) + "px");
      this.#root?.style.setProperty("--top", Math.round(screen.offsetTop) + "px");
    };
    this.#fit = fit;
    screen.addEventListener("resize", fit);
    screen.addEventListener("scroll", fit);
  }

  #fit = () => {};

  // `base` is where the gateway is: its files are there.
  site({ title, color, position, avatar, links }, base) {
    const { accent, on, ink } = shades(color);
    const style = this.#root.style;
    style.setProperty("--accent", accent);
    style.setProperty("--on", on);
    style.setProperty("--ink", ink);
    this.#root.dataset.side = position === "left" ? "left" : "right";
    this.title.textContent = title || this.#words.say("chat");
    this.log.links = Array.isArray(links) ? links : [];
    this.log.base = base;
    const address = avatar && webAddress(avatar);
    if (!address) return;
    const image = el("img", { alt: "", referrerpolicy: "no-referrer", width: "40", height: "40" });
    image.addEventListener("error", () => this.face.replaceChildren(icon("chat")));
    image.src = address.href;
    this.face.replaceChildren(image);
  }

  open(focus) {
    this.isOpen = true;
    this.panel.hidden = false;
    this.#root.classList.add("open");
    this.#fit();
    this.#measure();
    this.log.bottom();
    if (focus) this.input.focus({ preventScroll: true });
  }

  close(focus) {
    this.isOpen = false;
    this.panel.hidden = true;
    this.#root.classList.remove("open");
    if (focus) this.launcher.focus({ preventScroll: true });
  }

  get hasFocus() {
    return this.#shadow.activeElement !== null;
  }

  unread(count) {
    const label = this.#words.say(this.isOpen ? "close" : "open");
    this.badge.hidden = this.isOpen || count === 0;
    this.badge.textContent = count > 99 ? "99+" : String(count);
    this.launcher.setAttribute("aria-expanded", String(this.isOpen));
    this.launcher.setAttribute("aria-label", this.badge.hidden ? label : `${label}, ${this.#words.say("unread", count)}`);
  }

  // `text`: one line above the messages, or "" for none.
  notice(text, severe = false) {
    if (text === this.#announced) return;
    this.#announced = text;
    this.banner.classList.toggle("severe", severe);
    this.banner.textContent = text;
  }

  shut() {
    this.input.disabled = this.sendButton.disabled = this.attachButton.disabled = true;
  }

  announce(text) {
    this.live.textContent = "";
    this.live.textContent = text;
  }

  sounds(on) {
    this.sound.setAttribute("aria-pressed", String(on));
    this.sound.replaceChildren(icon(on ? "bell" : "bellOff"));
  }
}
