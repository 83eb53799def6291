// A form inside the conversation. The gateway judges the values; here only what is empty or plainly no e-mail
// address is caught before it travels.
import { el } from "./dom.js";

const KINDS = {
  phone: { type: "tel", inputmode: "tel", autocomplete: "tel", dir: "ltr" },
  email: { type: "email", inputmode: "email", autocomplete: "email", dir: "ltr" },
  text: { type: "text", inputmode: "text" },
};

let number = 0;

// An optional box: its words beside it, and unticked until they tick it themselves.
class Box {
  constructor(field, kept) {
    const id = "parley-field-" + ++number;
    this.name = field.name;
    this.input = el("input", { id, name: field.name, type: "checkbox" });
    this.input.checked = (field.value || kept) === "yes";
    this.node = el("div", { class: "box" }, this.input, el("label", { for: id, dir: "auto", text: field.label }));
  }

  get value() {
    return this.input.checked ? "yes" : "";
  }

  invalid = false;

  check() {
    return true;
  }
}

class Field {
  constructor(field, words, kept) {
    const id = "parley-field-" + ++number;
    this.name = field.name;
    this.#words = words;
    this.error = el("p", { class: "error", id: id + "-error" });
    this.input = el("input", {
      id,
      name: field.name,
      ...(KINDS[field.kind] || KINDS.text),
      ...(field.name === "name" ? { autocomplete: "name" } : {}),
      required: field.required === true,
      maxlength: 300,
      oninput: () => this.#tell(""),
    });
    this.input.value = field.value || kept || "";
    this.#tell(field.error || "");
    const label = el("label", { for: id, text: field.label || field.name });
    if (field.required) label.append(el("span", { class: "star", "aria-hidden": "true", text: " *" }));
    this.node = el("div", { class: "field" }, label, this.input, this.error);
  }

  #words;

  #tell(problem) {
    this.error.textContent = problem;
    this.error.hidden = !problem;
    if (problem) {
      this.input.setAttribute("aria-invalid", "true");
      this.input.setAttribute("aria-describedby", this.error.id);
    } else {
      this.input.removeAttribute("aria-invalid");
      this.input.removeAttribute("aria-describedby");
    }
  }

  get value() {
    return this.input.value.trim();
  }

  get invalid() {
    return this.input.hasAttribute("aria-invalid");
  }

  check() {
    if (this.input.required && !this.value) this.#tell(this.#words.say("required"));
    else if (this.input.validity.typeMismatch) this.#tell(this.#words.say("email"));
    else this.#tell("");
    return !this.invalid;
  }
}

export class Form {
  #fields;
  #set;

  // `answer(values, cancelled)` sends; `kept` holds what was typed into the form that this one replaces.
  constructor(content, words, kept, answer) {
    this.#fields = (content.fields || []).map((field) =>
      field.kind === "checkbox" ? new Box(field, kept[field.name]) : new Field(field, words, kept[field.name]),
    );
    const submit = el("button", { type: "submit", class: "primary", text: content.submit || words.say("send") });
    const cancel =
      content.cancel &&
      el("button", { type: "button", class: "plain", text: content.cancel, onclick: () => answer({}, true) });
    this.#set = el(
      "fieldset",
      { "aria-label": content.text || words.say("label") },
      ...this.#fields.map((field) => field.node),
      content.consent && el("p", { class: "consent", dir: "auto", text: content.consent }),
      el("div", { class: "row" }, submit, cancel),
    );
    this.node = el("form", { class: "form", novalidate: true }, this.#set);
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      const wrong = this.#fields.filter((field) => !field.check());
      if (wrong.length) wrong[0].input.focus();
      else answer(this.values, false);
    });
  }

  get values() {
    return Object.fromEntries(this.#fields.map((field) => [field.name, field.value]));
  }

  // "active", "awaiting" (values stay, nothing can be pressed) or "done" (answered or replaced: put away).
  state(name) {
    this.#set.disabled = name !== "active";
    this.node.hidden = name === "done";
    this.node.setAttribute("aria-busy", String(name === "awaiting"));
  }

  // The gateway sent it back with errors.
  get wrong() {
    return this.#fields.find((field) => field.invalid)?.input;
  }
}
