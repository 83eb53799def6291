// The way to the gateway: a session by POST, then a socket; every new socket asks for a new ticket.
const TICKET_LIFE = 50000;
const PING_EVERY = 25000;
const PONG_WITHIN = 10000;
const OPEN_WITHIN = 15000;
const STEADY = 5000;
const WINDOW = 10000;

// The gateway takes 20 frames in 10 seconds; what can wait leaves room for what cannot.
export const ROOM = { typing: 10, receipt: 12, send: 17 };

export class Connection {
  #boot;
  #store;
  #on;
  #cursor;
  #wanted = false;
  #busy = false;
  #hurried = false;
  #over = false;
  #session = null;
  #socket = null;
  #timer = 0;
  #ping = 0;
  #watch = 0;
  #tries = 0;
  #since = 0;
  #sent = [];

  // `on` has: session(session), state(name), frame(frame), reset(). `cursor()` says what the widget already has.
  constructor(boot, store, cursor, on) {
    this.#boot = boot;
    this.#store = store;
    this.#cursor = cursor;
    this.#on = on;
    this.online = false;
    addEventListener("online", () => this.#hurry());
    addEventListener("offline", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.#hurry());
    // An open socket would keep the page out of the back-forward cache.
    addEventListener("pagehide", () => this.#drop());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      if (this.online) this.#probe(PONG_WITHIN / 2);
      else this.#hurry();
    });
  }

  // Asks who we are; opens a socket only if somebody needs one.
  start(wanted) {
    const first = wanted && !this.#wanted;
    this.#wanted ||= wanted;
    // A try that is already due keeps its time, whatever the visitor does meanwhile.
    if (first || !this.#timer) this.#connect();
  }

  // True if the frame left. `room` is how many frames of the last 10 seconds may stand before it.
  send(frame, room = Infinity) {
    const now = Date.now();
    this.#sent = this.#sent.filter((at) => at > now - WINDOW);
    if (!this.online || this.#sent.length >= room) return false;
    this.#sent.push(now);
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  // A file to the gateway. `progress(percent)` is called while it goes; `done(answer, problem)` once. Returns the way
  // to stop it.
  upload(file, progress, done) {
    const request = new XMLHttpRequest();
    const where = new URLSearchParams({ site: this.#boot.site, name: file.name });
    request.open("POST", `${this.#boot.base}files?${where}`);
    request.setRequestHeader("Authorization", "Visitor " + this.#store.get("token"));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => progress(Math.floor((loaded / total) * 100));
    request.onload = () => (request.status === 200 ? done(request.response) : done(null, request.response?.detail));
    request.onerror = () => done(null, "");
    request.send(file);
    return () => request.abort();
  }

  async #connect() {
    if (this.#busy || this.#socket || this.#over) return;
    this.#busy = true;
    this.#hurried = false;
    clearTimeout(this.#timer);
    this.#timer = 0;
    try {
      if (!this.#session || Date.now() - this.#session.at > TICKET_LIFE) await this.#ask();
      if (this.#wanted) this.#open();
    } catch (problem) {
      this.#fail(problem);
    } finally {
      this.#busy = false;
      // What was under way may have begun before the network came back.
      if (this.#hurried && !this.#socket) this.#connect();
    }
  }

  async #ask(again = false) {
    const token = this.#store.get("token");
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), OPEN_WITHIN);
    try {
      const answer = await fetch(this.#boot.base + "session", {
        method: "POST",
        body: JSON.stringify({ site: this.#boot.site, token, language: this.#boot.language }),
        credentials: "omit",
        cache: "no-store",
        signal: stop.signal,
      });
      if (answer.status === 401 && !again) {
        this.#store.remove("token");
        this.#on.reset();
        return await this.#ask(true);
      }
      if (!answer.ok) throw { status: answer.status, wait: Number(answer.headers.get("Retry-After")) || 0 };
      const session = await answer.json();
      // Another tab became a visitor while we asked to be one: be the same.
      if (!token && !again && this.#store.get("token")) return await this.#ask(true);
      this.#store.set("token", session.token);
      this.#session = { ...session, at: Date.now() };
      this.#on.session(session);
    } finally {
      clearTimeout(timer);
    }
  }

  #fail({ status, wait }) {
    if (status === 400 || status === 403 || status === 404) {
      console.warn(
        status === 403
          ? `Parley: ${location.origin} is not an allowed origin of ${this.#boot.site}. Add it to the channel's origins.`
          : `Parley: the gateway does not know the site "${this.#boot.site}" (${status}). Check data-site.`,
      );
      this.#end("unavailable");
    } else if (status === 429) {
      this.#on.state("busy");
      this.#later((wait || 30) * 1000);
    } else {
      this.#on.state("reconnecting");
      this.#later();
    }
  }

  #end(state) {
    this.#over = true;
    this.#on.state(state);
  }

  #open() {
    const { socket: address, ticket } = this.#session;
    this.#session = null;
    const socket = new WebSocket(address, ["parley.v1", ticket]);
    this.#socket = socket;
    this.#watch = setTimeout(() => this.#drop(), OPEN_WITHIN);
    socket.onopen = () => socket.send(JSON.stringify({ t: "resume", after: this.#cursor() }));
    socket.onmessage = (event) => this.#read(event.data);
    socket.onclose = (event) => this.#closed(event.code);
  }

  #read(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    clearTimeout(this.#watch);
    if (frame.t === "hello") {
      this.online = true;
      this.#since = Date.now();
      this.#sent = [this.#since];
      this.#ping = setInterval(() => this.#probe(PONG_WITHIN), PING_EVERY);
      this.#on.state("online");
    }
    this.#on.frame(frame);
  }

  // A dead network says nothing: ask, and give up on the socket if no frame at all comes back.
  #probe(within) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#drop(), within);
    this.send({ t: "ping" });
  }

  #drop() {
    if (!this.#socket) return;
    this.#socket.close();
    this.#closed(0);
  }

  #closed(code) {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    this.#socket = null;
    clearInterval(this.#ping);
    clearTimeout(this.#watch);
    // A socket that closes at once counts as a failed try, or a broken gateway would be hammered.
    if (this.online && Date.now() - this.#since > STEADY) this.#tries = 0;
    this.online = false;
    if (code === 4403) return this.#end("closed");
    this.#on.state("reconnecting");
    if (code === 1008 || code === 1013) this.#tries = Math.max(this.#tries, 4);
    this.#later();
  }

  // Exponential backoff with full jitter, 0.5 to 30 seconds.
  #later(least = 0) {
    clearTimeout(this.#timer);
    if (!this.#wanted) return;
    const most = Math.min(30000, 500 * 2 ** this.#tries++);
    this.#timer = setTimeout(() => this.#connect(), least + Math.random() * most);
  }

  #hurry() {
    if (!this.#wanted || this.#socket) return;
    this.#tries = 0;
    this.#hurried = this.#busy;
    this.#connect();
  }
}
