// The conversation as the widget knows it: what the gateway stored, and what still waits to go out.
// No DOM in here.
import { uuid } from "./dom.js";
import { QUEUE_MOST } from "./store.js";
import { ROOM } from "./connection.js";

const ACK_WITHIN = 10000;
const PAUSE = 10000;

const moment = (text) => {
  const date = new Date(text);
  return isNaN(date) ? new Date() : date;
};

export class Chat {
  #store;
  #send;
  #changed;
  #messages = new Map();
  #queue = [];
  #uploads = [];
  #flying = null;
  #timer = 0;
  #numbers = 0;
  #upload;

  // `send(frame, room)` is the connection's; `changed()` is called after every change.
  // `upload(file, progress, done)` is the connection's, too.
  constructor(store, send, changed, upload) {
    this.#upload = upload;
    this.#store = store;
    this.#send = send;
    this.#changed = changed;
    this.#queue = store.unsent();
    this.more = false;
    this.known = false;
  }

  get waiting() {
    return this.#queue.length;
  }

  // The highest seq we have: the cursor for `resume`.
  get cursor() {
    return Math.max(0, ...[...this.#messages.values()].map((message) => message.seq));
  }

  get first() {
    return Math.min(...[...this.#messages.values()].map((message) => message.seq));
  }

  // The latest seq of the other side, which is what `delivered` and `seen` are about.
  get heard() {
    return Math.max(0, ...this.theirs(0).map((message) => message.seq));
  }

  theirs(after) {
    return [...this.#messages.values()].filter((message) => message.from !== "visitor" && message.seq > after);
  }

  // Everything to show, in order: stored messages by seq, then the queue.
  entries() {
    const stored = [...this.#messages.values()]
      .sort((one, other) => one.seq - other.seq)
      .map((message) => ({ ...message, key: message.client_id || message.id, date: moment(message.at) }));
    const queued = this.#queue.map((item) => ({
      key: item.id,
      from: "visitor",
      content: item.name ? { ...item.content, name: item.name } : item.content,
      date: new Date(item.at),
      queued: true,
      failed: item.failed,
    }));
    const going = this.#uploads.map(({ id, file, at, progress, failed }) => ({
      key: id,
      from: "visitor",
      content: { type: "media", name: file.name, size: file.size },
      date: new Date(at),
      queued: true,
      progress,
      failed,
    }));
    return [...stored, ...queued, ...going];
  }

  // A file goes up at once, and is said when it is there. It does not outlive the page.
  attach(file) {
    const item = { id: uuid(), file, at: Date.now(), progress: 0 };
    this.#uploads.push(item);
    this.#raise(item);
  }

  #raise(item) {
    item.failed = "";
    item.stop = this.#upload(
      item.file,
      (progress) => {
        item.progress = progress;
        this.#changed();
      },
      (answer, problem) => {
        if (answer && this.say({ type: "media", file: answer.file }, answer.name)) return this.remove(item.id);
        item.failed = problem || " ";
        this.#changed();
      },
    );
    this.#changed();
  }

  reset() {
    this.#messages.clear();
    this.more = this.known = false;
    this.#changed();
  }

  // Returns the messages that are new to us.
  take(messages) {
    const fresh = messages.filter(({ id, content }) => id && content && !this.#messages.has(id));
    for (const message of fresh) this.#messages.set(message.id, message);
    for (const { client_id: id } of messages) if (id) this.#settle(id);
    this.#changed();
    return fresh;
  }

  // False if too many are waiting already.
  // `name` is shown of a file until the gateway tells more of it.
  say(content, name) {
    if (this.#queue.length >= QUEUE_MOST) return false;
    const item = { id: uuid(), content, name, at: Date.now(), nr: this.#numbers++ };
    this.#queue.push(item);
    this.#store.set("unsent:" + item.id, item);
    this.#changed();
    this.pump();
    return true;
  }

  // The gateway stored what we said (or had it already). Returns it if it is new to us.
  stored(id, message) {
    const fresh = this.take([{ ...message, client_id: id }]);
    this.pump();
    return fresh;
  }

  // The gateway refused what we said: it stays, marked, until the visitor decides.
  refused(id, text) {
    const item = this.#queue.find((queued) => queued.id === id);
    if (!item) return;
    item.failed = text || " ";
    this.#land(id);
    this.#changed();
    this.pump();
  }

  retry(id) {
    const upload = this.#uploads.find((one) => one.id === id);
    if (upload) return this.#raise(upload);
    const item = this.#queue.find((queued) => queued.id === id);
    if (item) delete item.failed;
    this.#changed();
    this.pump();
  }

  remove(id) {
    this.#uploads.find((one) => one.id === id)?.stop();
    this.#uploads = this.#uploads.filter((one) => one.id !== id);
    this.#settle(id);
    this.#changed();
  }

  // After a reconnect: whatever another tab left behind goes out too.
  resume() {
    const ours = new Set(this.#queue.map((item) => item.id));
    this.#queue.push(...this.#store.unsent().filter((item) => !ours.has(item.id)));
    this.#flying = null;
    this.pump();
  }

  slowDown() {
    this.#flying = null;
    this.#again(PAUSE);
  }

  // One at a time, so that the order holds even if one is refused; sent again if no answer comes.
  pump() {
    const next = this.#queue.find((item) => !item.failed);
    if (!next || this.#flying) return;
    if (this.#send({ t: "send", id: next.id, content: next.content }, ROOM.send)) this.#flying = next.id;
    this.#again(this.#flying ? ACK_WITHIN : 1000);
  }

  #again(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#flying = null;
      this.pump();
    }, wait);
  }

  #land(id) {
    if (this.#flying !== id) return;
    this.#flying = null;
    clearTimeout(this.#timer);
  }

  #settle(id) {
    this.#queue = this.#queue.filter((item) => item.id !== id);
    this.#store.remove("unsent:" + id);
    this.#land(id);
  }
}
