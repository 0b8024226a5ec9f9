// Bicubic with antialiasing, at the positions and with the kernel of ccsr/grid and ccsr/resample.py.

function cubic(offset) {
  const x = Math.abs(offset);
  if (x <= 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

// Along one axis, for a centred grid: the position of an index of the result in the input, and
// the pixels and weights there, [[pixel, weight], ...].
export function taps(pixels, whole, scale) {
  const origin = (pixels - 1) / 2 - (whole - 1) / (2 * scale);
  const stretch = Math.min(scale, 1);
  const position = (index) => origin + index / scale;
  const near = (index) => {
    const middle = position(index);
    const first = Math.floor(middle - 2 / stretch) + 1;
    const found = [];
    for (let pixel = first; pixel < middle + 2 / stretch; pixel++) {
      const weight = cubic((pixel - middle) * stretch);
      found.push([Math.min(Math.max(pixel, 0), pixels - 1), weight]);
    }
    const total = found.reduce((sum, [, weight]) => sum + weight, 0);
    return found.map(([pixel, weight]) => [pixel, weight / total]);
  };
  return { position, near };
}

// A window of a picture {width, height, pixels} at a grid {size, scale}.
export function bicubic(picture, grid, { top, left, width, height }) {
  const rows = taps(picture.height, grid.size[0], grid.scale[0]);
  const columns = taps(picture.width, grid.size[1], grid.scale[1]);
  const across = Array.from({ length: width }, (_, column) => columns.near(left + column));
  const lines = new Map(); // rows of the input, resampled along themselves
  const line = (row) => {
    if (!lines.has(row)) {
      const made = new Float32Array(3 * width);
      across.forEach((near, column) => {
        for (const [pixel, weight] of near) {
          const from = 4 * (row * picture.width + pixel);
          for (let c = 0; c < 3; c++) made[3 * column + c] += weight * picture.pixels[from + c];
        }
      });
      lines.set(row, made);
    }
    return lines.get(row);
  };
  const result = new ImageData(width, height);
  for (let row = 0; row < height; row++) {
    const sum = new Float32Array(3 * width);
    const near = rows.near(top + row);
    for (const [pixel, weight] of near) {
      line(pixel).forEach((value, at) => (sum[at] += weight * value));
    }
    const lowest = Math.min(...near.map(([pixel]) => pixel));
    for (const known of lines.keys()) if (known < lowest) lines.delete(known);
    for (let column = 0; column < width; column++) {
      const to = 4 * (row * width + column);
      for (let c = 0; c < 3; c++) result.data[to + c] = Math.floor(sum[3 * column + c] + 0.5);
      result.data[to + 3] = 255;
    }
  }
  return result;
}
