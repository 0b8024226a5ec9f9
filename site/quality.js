// The quality of a JPEG as its file tells it, which a network that cleans is told: that whose table of
// luma is most like the file's, as `quality_of_table` in ccsr/image/traces.py finds it.

// The standard's table K.1 in the order of files, which libraries scale by the quality.
const LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
  26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
  56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
  95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];
const [START, TABLES, SCAN, FILLING] = [0xffd8, 0xffdb, 0xffda, 0xffff];
const FIRST = 0; // the table of luma

// 1 to 100 of a file's bytes as libjpeg counts, or 0 if it is no JPEG.
export function quality(buffer) {
  const bytes = new DataView(buffer);
  if (bytes.byteLength < 4 || bytes.getUint16(0) !== START) return 0;
  for (let at = 2; at + 4 <= bytes.byteLength;) {
    const marker = bytes.getUint16(at);
    if (marker === FILLING) {
      at += 1;
      continue;
    }
    const end = at + 2 + bytes.getUint16(at + 2);
    if (marker < 0xff00 || marker === SCAN || end > bytes.byteLength) return 0;
    for (let from = at + 4; marker === TABLES && from < end;) {
      const [kind, wide] = [bytes.getUint8(from) & 15, bytes.getUint8(from) >> 4 ? 2 : 1];
      if (from + 1 + 64 * wide > end) return 0;
      const step = (n) =>
        wide === 2 ? bytes.getUint16(from + 1 + 2 * n) : bytes.getUint8(from + 1 + n);
      if (kind === FIRST) return nearest(LUMINANCE.map((_, n) => Math.max(step(n), 1)));
      from += 1 + 64 * wide;
    }
    at = end;
  }
  return 0;
}

function nearest(steps) {
  let [found, least] = [0, Infinity];
  for (let each = 1; each <= 100; each++) {
    const percent = each < 50 ? Math.floor(5000 / each) : 200 - 2 * each;
    const away = steps.reduce((sum, step, n) => {
      const own = Math.floor((LUMINANCE[n] * percent + 50) / 100);
      return sum + Math.abs(Math.log(step / Math.min(Math.max(own, 1), 255)));
    }, 0);
    if (away < least) [found, least] = [each, away];
  }
  return found;
}
