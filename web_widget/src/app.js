// The widget: wires the connection, the conversation and the view together.
import { wording } from "./bubble.js";
import { Chat } from "./chat.js";
import { Connection, ROOM } from "./connection.js";
import { fit, Words } from "./i18n.js";
import { beep } from "./sound.js";
import { Store } from "./store.js";
import { View } from "./view.js";

const TYPING_EVERY = 3000;
const TYPING_LIFE = 15000;
const RECEIPTS_EVERY = 2000;
const NOTICE_LIFE = 8000;
const FILE_MOST = 25;

class Widget {
  #boot;
  #store;
  #connection;
  #chat;
  #view;
  #words;
  #site;
  #state = "";
  #typed = 0;
  #typing = 0;
  #receipts = 0;
  #notice = 0;
  #told = { delivered: 0, seen: 0 };
  #asked = false;
  #counted = -1;

  constructor(boot) {
    this.#boot = boot;
    this.#store = new Store(boot.site);
    this.#site = this.#store.get("site") || {};
    this.#view = new View(boot.host, {
      say: (text) => this.#say({ type: "text", text }),
      attach: (files) => this.#attach(files),
      typing: () => this.#tellTyping(),
      rate: (id, thumb) => this.#connection.send({ t: "rate", id, thumb }, ROOM.receipt),
      toggle: () => this.#toggle(),
      close: () => this.#close(),
      sound: () => this.#switchSound(),
      draft: (text) => this.#store.set("draft", text, "sessionStorage"),
      more: () => this.#more(),
      choose: (entry, choice, event) => this.#choose(entry, choice, event),
      answer: (entry, values, cancelled) => this.#answer(entry, values, cancelled),
      retry: (key) => this.#settle(() => this.#chat.retry(key)),
      remove: (key) => this.#settle(() => this.#chat.remove(key)),
    });
    this.#chat = new Chat(
      this.#store,
      (frame, room) => this.#connection.send(frame, room),
      () => this.#render(),
      (...what) => this.#connection.upload(...what),
    );
    this.#connection = new Connection(boot, this.#store, () => this.#chat.cursor, {
      session: (session) => this.#greet(session.site || {}),
      state: (name) => this.#turn(name),
      frame: (frame) => this.#hear(frame),
      reset: () => this.#forget(),
    });
    document.addEventListener("visibilitychange", () => this.#look());
    this.#store.watch("seen", () => this.#count());
  }

  start() {
    this.#dress();
    this.#boot.run = (name) => this[name]();
    for (const name of this.#boot.calls) this[name]();
    // A chat left open on the last page is open on this one, except on a phone, where it covers the page.
    const left = this.#store.get("open", "sessionStorage");
    const open = left === null ? this.#boot.open : left && matchMedia("(min-width: 480px)").matches;
    if (open && !this.#view.isOpen) this.#open(false);
    // Who never wrote has no conversation, so no socket is spent on them until they open the chat.
    this.#connection.start(this.#view.isOpen || this.#store.get("talked") === true || this.#chat.waiting > 0);
    this.#emit("ready");
  }

  open() {
    this.#open(true);
  }

  close() {
    this.#close();
  }

  toggle() {
    this.#toggle();
  }

  #emit(event, detail) {
    for (const listener of this.#boot.listeners[event] || []) {
      try {
        listener(detail);
      } catch (problem) {
        // The page's mistake must not stop the chat.
        console.error(problem);
      }
    }
  }

  // Builds the view for the site as known so far: from the last visit's copy at first, then from the session.
  #dress() {
    const language = fit(this.#site.language || this.#boot.language);
    if (this.#words?.language !== language) {
      this.#words = new Words(language);
      this.#view.build(this.#words);
      this.#view.sounds(this.#store.get("sound") === true);
      this.#view.write(this.#store.get("draft", "sessionStorage") || "");
      if (this.#state) this.#turn(this.#state);
    }
    this.#view.site(this.#site, this.#boot.base);
    // Nothing is shown in a colour that may not be the site's.
    this.#view.launcher.hidden = !this.#site.title && !this.#state && !this.#view.isOpen;
    this.#render(true);
  }

  #greet(site) {
    const same = JSON.stringify(site) === JSON.stringify(this.#site);
    this.#site = site;
    this.#store.set("site", site);
    if (same) return;
    const open = this.#view.isOpen;
    const focus = this.#view.hasFocus;
    this.#view.log.clear();
    this.#dress();
    if (open) this.#view.open(focus);
    this.#count();
  }

  #turn(state) {
    this.#state = state;
    this.#view.launcher.hidden = false;
    clearTimeout(this.#notice);
    if (state === "online") {
      this.#view.notice("");
      return;
    }
    this.#view.log.showTyping(false);
    this.#view.notice(this.#words.say(state), state !== "reconnecting");
    if (state === "unavailable" || state === "closed") this.#view.shut();
  }

  #tell(text) {
    this.#view.notice(text, true);
    clearTimeout(this.#notice);
    this.#notice = setTimeout(() => this.#state === "online" && this.#view.notice(""), NOTICE_LIFE);
  }

  #forget() {
    this.#store.remove("seen");
    this.#store.remove("talked");
    this.#told = { delivered: 0, seen: 0 };
    this.#chat.reset();
  }

  #hear(frame) {
    if (frame.t === "messages") this.#receive(frame);
    else if (frame.t === "message") this.#arrived(this.#chat.take([frame.message]));
    else if (frame.t === "ack") this.#arrived(this.#chat.stored(frame.id, frame.message));
    else if (frame.t === "typing") this.#showTyping(frame.on === true, frame.text);
    else if (frame.t === "error") this.#wrong(frame);
  }

  #receive({ messages, more, older }) {
    const first = !this.#chat.known;
    const resumed = this.#chat.cursor > 0;
    this.#chat.known = true;
    if (older || !resumed) this.#chat.more = more === true;
    const fresh = this.#chat.take(messages);
    if (fresh.length) this.#store.set("talked", true);
    if (older) {
      this.#asked = false;
      return;
    }
    if (resumed && more && fresh.length) {
      // More was missed than one answer holds.
      this.#connection.send({ t: "resume", after: this.#chat.cursor });
    } else {
      this.#told = { delivered: 0, seen: 0 };
      this.#chat.resume();
    }
    if (first && this.#store.get("seen") === null) this.#store.set("seen", this.#chat.heard);
    if (first) this.#look();
    else this.#arrived(fresh);
  }

  #arrived(fresh) {
    const theirs = fresh.filter((message) => message.from !== "visitor");
    if (theirs.length) {
      this.#store.set("talked", true);
      this.#view.log.showTyping(false);
      const away = !this.#view.isOpen || document.visibilityState !== "visible";
      if (away) this.#view.announce(this.#words.say("news"));
      if (this.#store.get("sound") === true) beep();
    }
    for (const { id, from, at, content } of fresh) {
      this.#emit("message", { id, from, at, text: wording(content, this.#words) });
    }
    this.#look();
  }

  #wrong({ code, id, text }) {
    if (code === "slow_down") {
      this.#tell(this.#words.say("slow"));
      this.#chat.slowDown();
    } else if (id) this.#chat.refused(id, text);
    else console.warn(`Parley: ${code}: ${text}`);
  }

  #showTyping(on, text) {
    this.#view.log.showTyping(on, text);
    clearTimeout(this.#typing);
    if (on) this.#typing = setTimeout(() => this.#view.log.showTyping(false), TYPING_LIFE);
  }

  #tellTyping() {
    const now = Date.now();
    if (now - this.#typed < TYPING_EVERY) return;
    if (this.#connection.send({ t: "typing" }, ROOM.typing)) this.#typed = now;
  }

  #say(content) {
    if (!this.#chat.say(content)) {
      this.#tell(this.#words.say("full"));
      return false;
    }
    this.#typed = 0;
    this.#store.set("talked", true);
    this.#connection.start(true);
    return true;
  }

  #attach(files) {
    for (const file of files) {
      if (file.size > FILE_MOST * 1048576) this.#tell(this.#words.say("large", FILE_MOST));
      else this.#chat.attach(file);
    }
    this.#store.set("talked", true);
    this.#connection.start(true);
  }

  #choose(entry, choice, event) {
    if (!this.#say({ type: "reply", id: choice.id, title: choice.title, to: entry.id })) return;
    // The pressed button can no longer hold the focus. A finger's tap must not bring up the keyboard.
    if (event.detail === 0) this.#view.input.focus();
    else this.#view.log.node.focus({ preventScroll: true });
  }

  #answer(entry, values, cancelled) {
    const content = { type: "form_reply", values, to: entry.id };
    if (cancelled) content.cancelled = true;
    if (this.#say(content)) this.#view.log.answered();
  }

  // The pressed button goes away with what it was about.
  #settle(act) {
    act();
    this.#view.log.node.focus({ preventScroll: true });
  }

  #more() {
    if (this.#asked || !this.#chat.more) return;
    this.#asked = this.#connection.send({ t: "more", before: this.#chat.first });
  }

  #entries() {
    const entries = this.#chat.entries();
    const begun = !this.#chat.more && (this.#chat.known || this.#store.get("talked") !== true);
    if (!begun || !this.#site.greeting) return entries;
    const date = entries[0]?.date || new Date();
    return [{ key: "greeting", from: "bot", content: { type: "text", text: this.#site.greeting }, date, greeting: true }, ...entries];
  }

  #render(quiet = false) {
    if (!this.#words) return;
    this.#view.log.show(this.#entries(), { more: this.#chat.more, quiet: quiet || !this.#chat.known });
    this.#count();
  }

  // What is on the screen of an open, visible chat counts as seen.
  #look() {
    if (this.#view.isOpen && document.visibilityState === "visible") {
      const seen = this.#store.get("seen") || 0;
      if (this.#chat.heard > seen) this.#store.set("seen", this.#chat.heard);
    }
    this.#count();
    if (!this.#receipts) this.#receipt();
  }

  // At most one pair of receipts each two seconds; the last one always goes out.
  #receipt() {
    this.#receipts = 0;
    const delivered = this.#chat.heard;
    const seen = Math.min(delivered, this.#store.get("seen") || 0);
    const due = [];
    if (delivered > this.#told.delivered) due.push(["delivered", delivered]);
    if (seen > this.#told.seen) due.push(["seen", seen]);
    if (!due.length) return;
    for (const [t, upto] of due) {
      if (this.#connection.send({ t, upto }, ROOM.receipt)) this.#told[t] = upto;
    }
    this.#receipts = setTimeout(() => this.#receipt(), RECEIPTS_EVERY);
  }

  #count() {
    const count = this.#view.isOpen ? 0 : this.#chat.theirs(this.#store.get("seen") ?? Infinity).length;
    this.#view.unread(count);
    if (count !== this.#counted) this.#emit("unread", count);
    this.#counted = count;
  }

  #toggle() {
    if (this.#view.isOpen) this.#close();
    else this.#open(true);
  }

  #open(focus) {
    if (this.#view.isOpen) return;
    this.#store.set("open", true, "sessionStorage");
    this.#connection.start(true);
    this.#view.launcher.hidden = false;
    this.#view.open(focus);
    this.#look();
    this.#emit("open");
  }

  #close() {
    if (!this.#view.isOpen) return;
    this.#store.set("open", false, "sessionStorage");
    this.#view.close(this.#view.hasFocus);
    this.#count();
    this.#emit("close");
  }

  #switchSound() {
    const on = this.#store.get("sound") !== true;
    this.#store.set("sound", on);
    this.#view.sounds(on);
    if (on) beep();
  }
}

const boot = window.Parley?.boot;
const able = "adoptedStyleSheets" in Document.prototype && "findLast" in Array.prototype;
if (boot && !boot.run && able) new Widget(boot).start();
