// Where an enlargement lies on the screen, in device pixels, and what a person types for its size.

export const LARGEST = 64; // factor; a larger number that is typed is a side in pixels
const HALF = 0.5 + 1e-9; // as the server rounds sizes

export const side = (n, factor) => Math.max(1, Math.floor(n * factor + HALF));

// place: factors `sx` and `sy`, the image position `cx`, `cy` in the middle of the stage, and if
// pixels were typed, the `target` that says it and the `size` that it means. Per axis this gives
// the pixels of the `whole` enlargement, the screen position where they `start`, those on the
// screen (`first`, `length`), and the `centre` that whole pixels of the screen make of the place.
export function layout(place, picture, stage) {
  const axis = (n, factor, centre, room, whole = side(n, factor)) => {
    const edge = (n * factor - whole) / 2; // the sizes are rounded, the middles coincide
    const exact = room / 2 + edge - centre * factor;
    const start = Math.round(exact);
    const first = Math.max(0, -start);
    return { whole, factor, edge, start, first, length: Math.min(whole, room - start) - first,
      centre: centre + (exact - start) / factor };
  };
  const [height, width] = place.size ?? [];
  return { x: axis(picture.width, place.sx, place.cx, stage.width, width),
    y: axis(picture.height, place.sy, place.cy, stage.height, height) };
}

// Start and length on the screen of what was laid out as `from` and now is as `to`.
export function moved(from, to) {
  const same = from.factor === to.factor && from.whole === to.whole;
  const place = (index) => to.start + (same ? index :
    ((index + from.edge) / from.factor) * to.factor - to.edge);
  const start = place(from.first);
  return [start, place(from.first + from.length) - start];
}

export const target = (place) => place.target ?? { scale: [place.sy, place.sx] };

// The factor as it is shown is the factor that is computed.
export const rounded = (factor) =>
  Number(factor < 1 ? factor.toPrecision(5) : factor.toFixed(5));

// {sx, sy} and, for pixels, {target, size}; null for what is neither.
export function parse(typed, { width, height }) {
  const match = typed.trim().toLowerCase().replace(",", ".")
    .match(/^(\d*\.?\d+)(?:\s*[x×*]\s*(\d*\.?\d+))?\s*(px)?$/);
  const [first, second] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (!(first > 0 && second > 0)) return null;
  if (!match[3] && Math.max(first, second) <= LARGEST) return { sx: first, sy: second };
  const sized = (wanted, rows, columns) => Math.max(rows, columns) > 2 ** 31 - 1 ? null :
    { target: wanted, size: [rows, columns], sx: columns / width, sy: rows / height };
  if (!Number.isInteger(first) || !Number.isInteger(second)) return null;
  if (match[2]) return sized({ width: first, height: second }, second, first);
  const grown = (n) => Math.max(1, Math.floor((n * first) / Math.max(width, height) + 0.5));
  return sized({ longest: first }, grown(height), grown(width));
}
