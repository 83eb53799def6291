// The loader: the one file a site embeds. It finds its own tag, puts an empty element on the page, offers
// window.Parley at once and fetches the widget itself when the page is idle or somebody asks for it.
const tag = document.currentScript?.dataset.site ? document.currentScript : document.querySelector("script[data-site]");

const start = (script) => {
  const base = new URL(".", script.src).href;
  const host = document.createElement("parley-chat");
  const boot = {
    base,
    host,
    site: script.dataset.site,
    language: script.dataset.language || document.documentElement.lang || navigator.language || "en",
    open: script.hasAttribute("data-open"),
    calls: [],
    listeners: {},
    run: null,
  };
  let loading = false;

  const load = () => {
    if (loading) return;
    loading = true;
    const app = document.createElement("script");
    let url = base + "app.js?v=__APP_VERSION__";
    try {
      // Under `require-trusted-types-for 'script'` a plain string is refused.
      url = window.trustedTypes.createPolicy("parley", { createScriptURL: (text) => text }).createScriptURL(url);
    } catch {
      // No trusted types here, or the policy's name is not allowed: the assignment below decides.
    }
    app.onerror = () => {
      app.remove();
      loading = false;
      addEventListener("online", load, { once: true });
    };
    app.async = true;
    app.nonce = script.nonce;
    app.src = url;
    document.head.append(app);
  };

  const call = (name) => () => {
    if (boot.run) return boot.run(name);
    boot.calls.push(name);
    load();
  };

  window.Parley = {
    open: call("open"),
    close: call("close"),
    toggle: call("toggle"),
    on: (event, listener) => {
      const list = (boot.listeners[event] ||= new Set());
      list.add(listener);
      return () => list.delete(listener);
    },
  };
  Object.defineProperty(window.Parley, "boot", { value: boot, configurable: true });

  const place = () => document.body.append(host);
  if (document.body) place();
  else addEventListener("DOMContentLoaded", place);

  const idle = () => (window.requestIdleCallback ? requestIdleCallback(load, { timeout: 2000 }) : setTimeout(load, 200));
  if (boot.open) load();
  else if (document.readyState === "complete") idle();
  else {
    addEventListener("load", idle);
    // A page whose images hang must not keep the chat away.
    setTimeout(load, 5000);
  }
};

// A second tag, or a tag without a site, does nothing.
if (tag && tag.src && !window.Parley) start(tag);
