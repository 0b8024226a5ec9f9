// Where an enlargement lies on the screen, in device pixels.

export const [LEAST, LARGEST] = [1e-4, 64]; // factors
const HALF = 0.5 + 1e-9; // as the server rounds sizes

export const side = (n, factor) => Math.max(1, Math.floor(n * factor + HALF));

// place: factors `sx` and `sy`, the image position `cx`, `cy` in the middle of the stage, and if
// pixels were asked for, the `target` that says it and the `size` that it means. Per axis this gives
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

// The factor as it is shown is the factor that is computed.
export const rounded = (factor) => Number(factor < 1 ? factor.toPrecision(5) : factor.toFixed(5));

export const target = (place) => place.target ?? { scale: [place.sy, place.sx].map(rounded) };
