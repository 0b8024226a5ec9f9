// Where an enlargement lies on the screen, in device pixels, and what a person types for its size.

export const LARGEST = 64; // factor; a larger number that is typed is a side in pixels
const HALF = 0.5 + 1e-9; // as the server rounds sizes

export const side = (n, factor) => Math.max(1, Math.floor(n * factor + HALF));

// place: factors `sx`, `sy`, the image position `cx`, `cy` in the middle of the stage, and what was
// typed as `target`, unless the factors say it. Image positions count from the left and top edge.
export function layout(place, picture, stage) {
  const [height, width] = place.size ??
    [side(picture.height, place.sy), side(picture.width, place.sx)];
  const axis = (n, whole, factor, centre, room) => {
    const edge = (n * factor - whole) / 2; // the sizes are rounded, the middles coincide
    const exact = room / 2 + edge - centre * factor;
    const start = Math.round(exact); // screen position of the enlargement's first pixel
    const first = Math.max(0, -start);
    return { whole, factor, edge, start, first, length: Math.min(whole, room - start) - first,
      centre: centre + (exact - start) / factor };
  };
  return { x: axis(picture.width, width, place.sx, place.cx, stage.width),
    y: axis(picture.height, height, place.sy, place.cy, stage.height) };
}

// Where pixel `index` of an enlargement that was laid out as `from` starts when laid out as `to`.
export function moved(from, to, index) {
  if (from.factor === to.factor && from.whole === to.whole) return to.start + index;
  return to.start - to.edge + ((index + from.edge) / from.factor) * to.factor;
}

export function target(place) {
  return place.target ?? { scale: [place.sy, place.sx] };
}

// The factor as it is shown is the factor that is computed.
export const rounded = (factor) =>
  factor < 1 ? Number(factor.toPrecision(5)) : Number(factor.toFixed(5));

export const text = (place) =>
  place.sx === place.sy ? String(place.sx) : `${place.sx}x${place.sy}`;

// {sx, sy} and, for pixels, {target, size}; null for what is neither.
export function parse(typed, picture) {
  const match = typed.trim().toLowerCase().replace(",", ".")
    .match(/^(\d*\.?\d+)(?:\s*[x×*]\s*(\d*\.?\d+))?\s*(px)?$/);
  if (!match) return null;
  const [first, second] = [Number(match[1]), Number(match[2] ?? match[1])];
  if (!(first > 0 && second > 0)) return null;
  if (!match[3] && first <= LARGEST && second <= LARGEST) return { sx: first, sy: second };
  if (!Number.isInteger(first) || !Number.isInteger(second)) return null;
  const { width, height } = picture;
  if (match[2]) return pixels({ width: first, height: second }, [second, first], picture);
  if (width >= height) {
    const other = Math.max(1, Math.floor((height * first) / width + 0.5));
    return pixels({ width: first }, [other, first], picture);
  }
  const other = Math.max(1, Math.floor((width * first) / height + 0.5));
  return pixels({ height: first }, [first, other], picture);
}

function pixels(wanted, size, picture) {
  if (Math.max(...size) > 2 ** 31 - 1) return null;
  return { target: wanted, size, sx: size[1] / picture.width, sy: size[0] / picture.height };
}
