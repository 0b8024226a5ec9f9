// What the page asks, answered in the browser itself: it takes the place of the zoom page's api.js.

import { bicubic, taps } from "./bicubic.js";
import { quality } from "./quality.js";
import { factors, typed } from "./sizes.js";

const TILE = 256; // side of what is computed at once, in pixels of the result
const LARGEST_PICTURE = 40e6; // pixels: 4 bytes each
const LARGEST_RESULT = 80e6; // pixels: as many, twice while the file is made
const LONGEST = 32767; // side of what browsers draw on, in pixels
const KEPT = 60000; // ms for which a download may wait to begin
const BICUBIC = "bicubic";
const pictures = new Map();
const enlargements = new Map();
const models = ["light", "photo"];
let numbers = 0;

// ---- the network, in a thread of its own

const worker = new Worker(new URL("./compute.js", import.meta.url), { type: "module" });
const waiting = new Map();
worker.onmessage = ({ data: { number, values, error } }) => {
  const { resolve, reject } = waiting.get(number);
  waiting.delete(number);
  if (error) reject(new Error(error));
  else resolve(values);
};

let broken = null; // why the thread cannot work: its files are not there, or it ended

worker.onerror = ({ message }) => {
  broken = new Error(`the network cannot run in this browser: ${message ?? "no file of it came"}`);
  for (const { reject } of waiting.values()) reject(broken);
  waiting.clear();
};

function compute(task) {
  if (broken) throw broken;
  const number = ++numbers;
  const answer = new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
  worker.postMessage({ number, ...task }, [task.image.buffer]);
  return answer;
}

// ---- windows

// The size, the factors, (vertical, horizontal), and the name of the enlargement that a target means.
function grid(picture, { scale, text }) {
  const wanted = scale ? factors([scale[1], scale[0]]) : typed(text);
  const size = wanted.size(picture);
  const own = [size[0] / picture.height, size[1] / picture.width];
  return { scale: wanted.scale ?? own, size, label: wanted.label };
}

function check({ scale }) {
  if (Math.min(...scale) < 1 && Math.max(...scale) >= 1) {
    throw new Error("One factor is below 1 and the other is not, which ccsr upscale can do");
  }
}

// A window of the enlargement as an image: its place is {top, left, width, height}.
async function computed(picture, method, grid, place) {
  const small = Math.max(...grid.scale) < 1;
  const same = grid.size[0] === picture.height && grid.size[1] === picture.width;
  if (small || method === BICUBIC || (same && method === "light")) {
    return bicubic(picture, grid, place);
  }
  check(grid);
  const reach = (axis) => {
    const [first, count] = axis ? [place.left, place.width] : [place.top, place.height];
    const limit = axis ? picture.width : picture.height;
    const { position } = taps(limit, grid.size[axis], grid.scale[axis]);
    const start = Math.max(0, Math.floor(position(first)) - radius);
    return [start, Math.min(limit, Math.ceil(position(first + count - 1)) + radius + 1) - start];
  };
  const [[top, height], [left, width]] = [reach(0), reach(1)];
  const image = new Float32Array(3 * width * height);
  for (let row = 0, at = 0; row < height; row++) {
    let from = 4 * ((top + row) * picture.width + left);
    for (let column = 0; column < width; column++, at++, from += 4) {
      for (let colour = 0; colour < 3; colour++) {
        image[colour * width * height + at] = picture.pixels[from + colour] / 255;
      }
    }
  }
  const values = await compute({ model: method, image, shape: [height, width],
    corner: [top, left], whole: [picture.height, picture.width], quality: picture.quality,
    scale: grid.scale,
    origin: [place.top, place.left], size: [place.height, place.width] });
  const result = new ImageData(place.width, place.height);
  const pixels = place.width * place.height;
  for (let at = 0; at < pixels; at++) {
    for (let colour = 0; colour < 3; colour++) {
      result.data[4 * at + colour] = Math.floor(values[colour * pixels + at] * 255 + 0.5);
    }
    result.data[4 * at + 3] = 255;
  }
  return result;
}

const { radius } = await (await fetch(new URL("./models.json", import.meta.url))).json();

// Windows that together are one, those near its middle first.
function tiles({ top, left, width, height }) {
  const found = [];
  for (let y = 0; y < height; y += TILE) {
    for (let x = 0; x < width; x += TILE) {
      found.push({ top: top + y, left: left + x, width: Math.min(TILE, width - x),
        height: Math.min(TILE, height - y) });
    }
  }
  const away = (tile) => Math.hypot(tile.top + TILE / 2 - top - height / 2,
    tile.left + TILE / 2 - left - width / 2);
  return found.sort((one, other) => away(one) - away(other));
}

export async function view({ picture: id, target, methods, divider, ...place }, signal, paint) {
  const picture = pictures.get(id);
  const whole = grid(picture, target);
  const order = [...new Set(methods)].sort((one) => (one === BICUBIC ? -1 : 1));
  for (const method of order) {
    const mask = methods.reduce((sum, each, number) => sum + (each === method) * 2 ** number, 0);
    for (const tile of tiles(place)) {
      await new Promise((resolve) => setTimeout(resolve)); // what the person does comes first
      signal.throwIfAborted();
      const image = await computed(picture, method, whole, tile);
      signal.throwIfAborted();
      paint(mask, tile.left - place.left, tile.top - place.top, image);
    }
  }
}

// ---- pictures

export async function send(file) {
  const picture = { id: ++numbers, name: file.name, frames: 1 };
  try {
    Object.assign(picture, await decoded(file));
    picture.about = `${picture.width} × ${picture.height} pixels`;
  } catch (error) {
    picture.error = picture.about = `cannot read ${file.name}: ${error.message}`;
  }
  pictures.set(picture.id, picture);
  return listed(picture);
}

const listed = ({ pixels, ...known }) => known;

function limit(width, height, pixels) {
  if (width * height > pixels || Math.max(width, height) > LONGEST) {
    throw new Error(`${width}x${height} is too large for a browser, which has ${pixels / 1e6} `
      + `million pixels, up to ${LONGEST} along a side: use ccsr upscale`);
  }
}

async function decoded(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("it is not a picture that this browser knows");
  });
  const { width, height } = bitmap;
  limit(width, height, LARGEST_PICTURE);
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data: pixels } = pen.getImageData(0, 0, width, height);
  for (let at = 3; at < pixels.length; at += 4) {
    if (pixels[at] < 255) throw new Error("it is transparent in parts: use ccsr upscale");
  }
  return { width, height, pixels, quality: quality(await file.arrayBuffer()) };
}

// ---- enlargements: one picture each

function start({ pictures: ids, target, model }) {
  for (const id of ids) {
    const picture = pictures.get(id);
    const whole = grid(picture, target);
    const name = `${picture.name.replace(/\.[^.]*$/, "")}_${whole.label}.png`;
    const item = { name: picture.name, state: "waiting", share: 0, text: "waits" };
    const job = { id: ++numbers, title: `by ${model}`, running: true, items: [item] };
    enlargements.set(job.id, job);
    queue = queue.then(() => run(job, item, picture, model, whole, name));
  }
}

let queue = Promise.resolve();

async function run(job, item, picture, model, whole, name) {
  try {
    const [height, width] = whole.size;
    limit(width, height, LARGEST_RESULT);
    const sheet = new OffscreenCanvas(width, height);
    const pen = sheet.getContext("2d", { willReadFrequently: true });
    const parts = tiles({ top: 0, left: 0, width, height });
    for (const [number, tile] of parts.entries()) {
      if (job.cancelled) throw new Error("cancelled");
      const share = number / parts.length;
      Object.assign(item, { state: "running", share, text: `${Math.round(100 * share)} %` });
      pen.putImageData(await computed(picture, model, whole, tile), tile.left, tile.top);
    }
    job.blob = await sheet.convertToBlob({ type: "image/png" });
    job.name = name;
    Object.assign(item, { state: "done", text: `${width}x${height}, ${name}` });
  } catch (error) {
    Object.assign(item, { state: "failed", text: error.message });
  }
  job.running = false;
}

// ---- the questions of the page

// What a typed size means for a picture, or what is wrong with it.
function meant({ picture: id, text }) {
  try {
    const { scale, size } = grid(pictures.get(id), { text });
    const [sy, sx] = scale;
    return typed(text).scale ? { sx, sy } : { sx, sy, size, target: { text } };
  } catch (error) {
    return { error: error.message };
  }
}

export async function post(path, fields) {
  if (path === "size") return meant(fields);
  if (path === "enlargements") return start(fields);
  const { blob, name } = enlargements.get(fields.enlargement);
  const url = URL.createObjectURL(blob);
  setTimeout(() => URL.revokeObjectURL(url), KEPT); // else it is held as long as the page
  return { url, name };
}

export async function ask(path, method = "GET") {
  const [kind, id] = path.split("/");
  if (kind === "pictures") pictures.delete(Number(id));
  else if (kind === "enlargements" && method === "DELETE") enlargements.delete(Number(id));
  else if (kind === "enlargements") enlargements.get(Number(id)).cancelled = true;
  const known = [...enlargements.values()];
  const state = { pictures: [...pictures.values()].map(listed), enlargements: known,
    models: models.map((name) => ({ name })), fixed: [BICUBIC], formats: ["png"],
    largest: Infinity, busy: known.some((job) => job.running) };
  return { json: async () => state };
}

document.getElementById("metadata").closest("label").hidden = true; // there is none in the result
