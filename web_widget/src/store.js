// What one browser keeps for one site. Storage may be blocked, full or wiped at any moment: every access is
// guarded, and what cannot be written lives on in memory until the page goes.
const MOST = 50;

export class Store {
  #prefix;
  #memory = new Map();

  constructor(site) {
    this.#prefix = `parley:${site}:`;
  }

  #area(name) {
    try {
      return window[name];
    } catch {
      return null;
    }
  }

  get(key, area = "localStorage") {
    const memory = this.#memory.get(key);
    try {
      const text = this.#area(area).getItem(this.#prefix + key);
      return text === null ? (memory ?? null) : JSON.parse(text);
    } catch {
      return memory ?? null;
    }
  }

  set(key, value, area = "localStorage") {
    try {
      this.#area(area).setItem(this.#prefix + key, JSON.stringify(value));
      this.#memory.delete(key);
    } catch {
      this.#memory.set(key, value);
    }
  }

  remove(key, area = "localStorage") {
    this.#memory.delete(key);
    try {
      this.#area(area).removeItem(this.#prefix + key);
    } catch {
      // Nothing was kept, so nothing is left.
    }
  }

  // The unsent messages, oldest first. Each has an entry of its own, so two tabs never overwrite each other's.
  unsent() {
    const start = this.#prefix + "unsent:";
    const items = [];
    try {
      const area = this.#area("localStorage");
      for (let index = 0; index < area.length; index++) {
        const name = area.key(index);
        if (name.startsWith(start)) items.push(this.get(name.slice(this.#prefix.length)));
      }
    } catch {
      return [];
    }
    return items
      .filter((item) => item && typeof item.id === "string" && item.content)
      .sort((one, other) => one.at - other.at || one.nr - other.nr)
      .slice(0, MOST);
  }

  // Calls back when another tab of this site changes `key`.
  watch(key, changed) {
    addEventListener("storage", (event) => {
      if (event.key === this.#prefix + key) changed();
    });
  }
}

export const QUEUE_MOST = MOST;
