// Sizes as people type them: the words of ccsr/web/requests.py, the arithmetic of ccsr/sizes.py. It is
// exact, in fractions [numerator, denominator], so that the same text means the same pixels there.

import { side } from "./geometry.js";

const LARGEST_TYPED = 64; // a larger number that is typed is a side in pixels
const LARGEST_SIDE = 2n ** 31n - 1n;
const LARGEST_AREA = 10n ** 12n;
const LEAST_SCALE = 1e-4;
const LARGEST_DPI = 100000;
const TYPED = new RegExp("^(longest|shortest|width|height|fit|cover|at least)? ?(\\d*\\.?\\d+)" +
  "(?: ?[x*] ?(\\d*\\.?\\d+))? ?(px|mp|megapixels)?$");
const PAPER = /^([\d.]+)x([\d.]+)\s*(cm|mm|in)@([\d.]+)$/;
const INCH = { cm: [254n, 100n], mm: [254n, 10n], in: [1n, 1n] };
const SHORT = { width: "w", height: "h", "at least": "atleast" };
const TELL = "Type a factor such as 2.37, pixels such as 1920x1080, a side such as 3000 or " +
  "shortest 800, fit, cover or at least 1920x1080, 12 mp, or paper such as 30x20cm@300";

const times = ([a, b], [c, d]) => [a * c, b * d];
const over = ([a, b], [c, d]) => [a * d, b * c];
const less = ([a, b], [c, d]) => a * d < c * b;
const smaller = (one, other) => (less(other, one) ? other : one);
const larger = (one, other) => (less(one, other) ? other : one);
const tidy = (number) => String(Number(Number(number).toPrecision(10)));

function decimal(text) {
  const [whole, part = "", ...more] = text.split(".");
  if (more.length || !(whole + part)) throw new Error(TELL);
  return [BigInt(whole + part), 10n ** BigInt(part.length)];
}

// A floating-point number as the fraction that it is.
function fraction(number) {
  let power = 1n;
  for (; !Number.isInteger(number); number *= 2) power *= 2n;
  return [BigInt(number), power];
}

// The factor by which a picture of w x h grows, for what was asked for.
const FACTORS = {
  width: ([wide], w) => over(wide, w),
  height: ([tall], w, h) => over(tall, h),
  longest: ([n], w, h) => over(n, larger(w, h)),
  shortest: ([n], w, h) => over(n, smaller(w, h)),
  fit: ([wide, tall], w, h) => smaller(over(wide, w), over(tall, h)),
  cover: ([wide, tall], w, h) => larger(over(wide, w), over(tall, h)),
  "at least": (box, w, h) => larger(FACTORS.cover(box, w, h), [1n, 1n]),
  mp: ([n], w, h) => {
    const [a, b] = over(times(n, [1000000n, 1n]), times(w, h));
    return fraction(Math.sqrt(Number(a) / Number(b)));
  },
};

// {label, size(picture)}: what it is called in names of files, and [height, width] of the result.
function rule(kind, numbers, label) {
  const size = ({ width, height }) => {
    const factor = FACTORS[kind](numbers, [BigInt(width), 1n], [BigInt(height), 1n]);
    return checked([height, width].map((n) => {
      const [a, b] = times(factor, [BigInt(n), 1n]);
      const rounded = (2n * a + b) / (2n * b); // halves up
      return rounded < 1n ? 1n : rounded;
    }));
  };
  return { label, size };
}

function checked([height, width]) {
  if (height > LARGEST_SIDE || width > LARGEST_SIDE) {
    throw new Error(`sizes must be 1 to ${LARGEST_SIDE}, got ${width}x${height}`);
  }
  if (height * width > LARGEST_AREA) {
    throw new Error(`a result must have at most 1,000,000 million pixels, got ${width}x${height}: ` +
      "ask for a smaller size");
  }
  return [Number(height), Number(width)];
}

// [horizontal, vertical] factors.
export function factors([sx, sy]) {
  const size = ({ width, height }) => [side(height, sy), side(width, sx)];
  if (Math.min(sx, sy) < LEAST_SCALE) {
    throw new Error(`scale must be at least 0.0001, got ${Math.min(sx, sy)}`);
  }
  return { label: sx === sy ? `${tidy(sx)}x` : `${tidy(sx)}x${tidy(sy)}x`, scale: [sy, sx], size };
}

function paper(text) {
  const [, wide, tall, unit, dpi] = PAPER.exec(text) ?? [];
  try {
    if (!(Number(dpi) >= 1 && Number(dpi) <= LARGEST_DPI)) throw new Error();
    const numbers = [wide, tall].map(decimal);
    if (numbers.some(([n]) => n <= 0n)) throw new Error();
    const density = over(decimal(dpi), INCH[unit]);
    const label = `${tidy(wide)}x${tidy(tall)}${unit}${tidy(dpi)}dpi`;
    return rule("fit", numbers.map((n) => times(n, density)), label);
  } catch {
    throw new Error("expected WIDTHxHEIGHT in cm, mm or in, and pixels an inch, such as " +
      `30x20cm@300, got '${text}'`);
  }
}

// What a person types for a size: {label, size(picture)}, with `scale` if it is factors.
export function typed(text) {
  const words = text.toLowerCase().replaceAll(",", ".").replaceAll("×", "x").split(/\s+/)
    .filter(Boolean).join(" ");
  if (words.includes("@")) return paper(words.replace(/^print /, ""));
  const [, kind = "", first, second, unit = ""] = TYPED.exec(words) ?? [];
  const given = [first, second].filter(Boolean);
  if (!given.length || !given.every((n) => Number(n) > 0)) throw new Error(TELL);
  const [numbers, pixels] = [given.map(decimal), unit === "" || unit === "px"];
  if (!pixels && !kind && !second) return rule("mp", numbers, `${tidy(first)}mp`);
  if (!kind && !unit && Math.max(...given) <= LARGEST_TYPED) {
    return factors([Number(first), Number(second ?? first)]);
  }
  const whole = numbers.every(([a, b]) => a % b === 0n && a / b <= LARGEST_SIDE);
  const known = second ? ["", "fit", "cover", "at least"]
    : ["", "longest", "shortest", "width", "height"];
  if (!pixels || !whole || !known.includes(kind)) throw new Error(TELL);
  const sides = numbers.map(([a, b]) => a / b);
  if (second && !kind) {
    const size = checked([sides[1], sides[0]]);
    return { label: sides.join("x"), size: () => size };
  }
  const name = kind || "longest";
  return rule(name, numbers, sides.join("x") + (SHORT[name] ?? name));
}
