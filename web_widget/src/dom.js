// Elements without markup: nothing in the widget parses HTML, so no text can become an element.
const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  chat: "M21 12a8 8 0 0 1-8 8H4l1.8-3.2A8 8 0 1 1 21 12Z M9 12h.01 M13 12h.01 M17 12h.01",
  down: "M6 9.5l6 6 6-6",
  close: "M6 6l12 12 M18 6L6 18",
  send: "M5 12h13 M12 5.5l6.5 6.5-6.5 6.5",
  clip: "M20 11.5 12.3 19a5 5 0 0 1-7-7L13 4.4a3.3 3.3 0 0 1 4.7 4.7L10 16.6a1.7 1.7 0 0 1-2.4-2.4L14.5 7.5",
  file: "M7 3h7l4 4v14H7Z M14 3v4h4",
  thumb: "M7 11v9H4v-9Z M7 11l4-8a2 2 0 0 1 2 2v4h6l-1.5 9.5a2 2 0 0 1-2 1.5H7",
  bell: "M6 10a6 6 0 0 1 12 0c0 5 2 6 2 6H4s2-1 2-6 M10 20h4",
  bellOff: "M6 10a6 6 0 0 1 12 0c0 5 2 6 2 6H4s2-1 2-6 M10 20h4 M4 4l16 16",
  clock: "M12 7v5l3 2 M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
  tick: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 7v6 M12 16.5v.01 M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
};

export const el = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "text") node.textContent = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter(Boolean));
  return node;
};

export const icon = (name) => {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon icon-" + name);
  svg.append(path);
  return svg;
};

export const hiddenText = (text) => el("span", { class: "sr", text });

// crypto.randomUUID exists only on https pages; this works on all.
export const uuid = () =>
  "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
    (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16),
  );
