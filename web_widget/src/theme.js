// A site has one colour; what is written on it, and what is written with it on white, stays readable.
const FALLBACK = "#1f5eff";

const parse = (color) => {
  const hex = /^#([\da-f]{3}|[\da-f]{6})$/i.exec(color || "");
  if (!hex) return null;
  const digits = hex[1].length === 3 ? hex[1].replace(/./g, "$&$&") : hex[1];
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
};

// WCAG 2 relative luminance.
const luminance = (rgb) => {
  const [red, green, blue] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

const onWhite = (rgb) => 1.05 / (luminance(rgb) + 0.05);

// {accent, on, ink}: the colour, text on it, and the colour dark enough (4.5:1) to be text on the panel.
export const shades = (color) => {
  const rgb = parse(color) || parse(FALLBACK);
  let ink = rgb;
  // 5.2 on white leaves 4.5 on the light grey of a bubble.
  while (onWhite(ink) < 5.2) ink = ink.map((part) => Math.floor(part * 0.95));
  return {
    accent: `rgb(${rgb})`,
    // Of black and white one always has 4.5:1 or more.
    on: onWhite(rgb) >= 4.5 ? "#fff" : "#000",
    ink: `rgb(${ink})`,
  };
};

// Only an address that a browser fetches as an image, never javascript: or data:.
export const webAddress = (text) => {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) && !url.username && !url.password ? url : null;
  } catch {
    return null;
  }
};
