// Text with links, made of text nodes and anchors only.
import { el } from "./dom.js";
import { webAddress } from "./theme.js";

const ADDRESS = /https?:\/\/[^\s<>"'`\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gi;
const TAIL = /[.,;:!?)\]}*_~\u2026\u00bb\u060c\u061b\u061f]$/;

// The address as a URL if its origin is one the site allows, else null.
export const allowed = (text, links) => {
  const url = webAddress(text);
  return url && links.some((link) => webAddress(link)?.origin === url.origin) ? url : null;
};

export const anchor = (url, text) =>
  el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", text });

// A sentence's full stop is not part of the address in it; a closing bracket is only if it was opened inside.
const trim = (address) => {
  while (TAIL.test(address)) {
    const unbalanced = (open, close) => address.split(close).length > address.split(open).length;
    if (address.endsWith(")") && !unbalanced("(", ")")) break;
    address = address.slice(0, -1);
  }
  return address;
};

const TAGS = { bold: "strong", italic: "em", code: "code" };

// Runs of formatting as the gateway read them: [style, text, address?].
export const formatted = (runs, links) =>
  runs.flatMap(([style, text, address]) => {
    if (TAGS[style]) return el(TAGS[style], { text });
    const url = address && (allowed(address, links) || (/^(mailto|tel):/.test(address) && { href: address }));
    if (url) return anchor(url, text);
    return linkify(address && address !== text ? `${text} (${address})` : text, links);
  });

export const linkify = (text, links) => {
  const parts = [];
  let done = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trim(match[0]);
    const url = allowed(address, links);
    if (!url) continue;
    parts.push(text.slice(done, match.index), anchor(url, address));
    done = match.index + address.length;
  }
  return [...parts, text.slice(done)];
};
