// The picture on the screen: moved without steps, computed when it rests.

import { view } from "./api.js";
import { LARGEST, layout, moved, rounded, target } from "./geometry.js";

const REST = 120; // ms without input after which a view is asked for
const KEPT = 40; // device pixels of the picture that cannot be moved off the stage
const LENS = 5; // what the loupe magnifies by

export class Stage {
  picture = null;
  methods = ["bicubic", "bicubic"];
  cut = 0.5; // where the divider is
  #shown = null; // the newest view of which each pixel is here
  #whole = null; // the last view of the whole picture, for what was not on the screen before
  #pointers = new Map();
  #lens = false;

  // `told` gets a text for the person; `changed` is called when the place is another one.
  constructor(root, { told, changed }) {
    Object.assign(this, { root, told, changed });
    this.canvas = root.querySelector("#view");
    this.loupe = root.querySelector("#loupe");
    this.divider = root.querySelector("#divider");
    this.pen = this.canvas.getContext("2d");
    this.#listen();
  }

  show(picture) {
    if (picture?.id === this.picture?.id) return;
    Object.assign(this, { picture, place: null });
    this.#shown = this.#whole = null;
    this.fit();
  }

  compare(methods) {
    this.methods = methods;
    this.divider.hidden = methods[0] === methods[1];
    this.touch();
  }

  fit() {
    const { picture, canvas } = this;
    if (!picture) return this.touch();
    const s = Math.min(canvas.width / picture.width, canvas.height / picture.height, LARGEST);
    this.go({ sx: rounded(s), sy: rounded(s) });
    this.place.cx = picture.width / 2;
    this.place.cy = picture.height / 2;
    this.fitted = true;
  }

  // To other factors, and perhaps a typed size, around the same middle.
  go(factors) {
    this.place = { cx: 0, cy: 0, ...this.place, target: null, size: null, ...factors };
    this.fitted = false;
    this.touch();
  }

  zoom(by, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const { place, picture, canvas } = this;
    if (!picture) return;
    const least = Math.min(1, 16 / Math.max(picture.width, picture.height));
    const most = LARGEST / Math.max(place.sx, place.sy);
    const ratio = Math.max(Math.min(by, most), least / Math.min(place.sx, place.sy));
    const [right, down] = [x - canvas.width / 2, y - canvas.height / 2];
    this.go({ sx: place.sx * ratio, sy: place.sy * ratio,
      cx: place.cx + right / place.sx * (1 - 1 / ratio),
      cy: place.cy + down / place.sy * (1 - 1 / ratio) });
  }

  // To `factor` with the same position under the pointer.
  zoomTo(factor, x, y) {
    const { place } = this;
    if (place) this.zoom(factor / place.sx, x, y);
    if (place) this.go({ sx: factor, sy: factor });
  }

  pan(right, down) {
    if (!this.picture) return;
    this.place.cx -= right / this.place.sx;
    this.place.cy -= down / this.place.sy;
    this.fitted = false;
    this.touch();
  }

  // Something moved: draw what is here, and compute once it rests.
  touch() {
    this.abort?.abort();
    clearTimeout(this.timer);
    if (this.place) this.#keep();
    this.root.setAttribute("aria-busy", Boolean(this.picture));
    this.timer = setTimeout(() => this.#rest(), REST);
    this.redraw();
    this.changed();
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #keep() {
    const { place, picture, canvas } = this;
    const held = (centre, n, factor, room) => {
      const most = Math.max(0, room / 2 - Math.min(KEPT, n * factor / 2)) / factor;
      return Math.min(Math.max(centre, -most), n + most);
    };
    place.cx = held(place.cx, picture.width, place.sx, canvas.width);
    place.cy = held(place.cy, picture.height, place.sy, canvas.height);
  }

  async #rest() {
    const { place, picture, canvas, methods } = this;
    if (!picture || !canvas.width) return;
    if (!place.size) [place.sx, place.sy] = [rounded(place.sx), rounded(place.sy)];
    const { x, y } = layout(place, picture, canvas);
    [place.cx, place.cy] = [x.centre, y.centre]; // whole pixels of the enlargement on the screen's
    this.changed();
    this.redraw();
    const { signal } = (this.abort = new AbortController());
    const fresh = { x, y, sides: sheets(methods, x.length, y.length) };
    const [missing, begun] = [fresh.sides.map(() => x.length * y.length), performance.now()];
    const paint = (sides, left, top, image) => {
      if (signal.aborted) return;
      for (const number of [0, 1]) {
        if (!(sides & (1 << number))) continue;
        fresh.sides[number].getContext("2d").putImageData(image, left, top);
        missing[number] -= image.width * image.height;
      }
      if (Math.max(...missing) <= 0) this.#shown = fresh;
      this.redraw();
    };
    this.told("Computing …");
    try {
      const fields = { picture: picture.id, target: target(place), methods,
        left: x.first, top: y.first, width: x.length, height: y.length,
        divider: this.column - x.start - x.first };
      await view(fields, signal, paint);
      if (signal.aborted) return;
      if (x.length === x.whole && y.length === y.whole) this.#whole = fresh;
      const seconds = ((performance.now() - begun) / 1000).toFixed(2);
      this.told(`Exact, ${x.length} × ${y.length} pixels in ${seconds} s`);
      this.#draw();
      this.root.setAttribute("aria-busy", "false");
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      this.told(error.message);
      this.root.setAttribute("aria-busy", "false");
    }
  }

  get column() {
    return Math.round(this.cut * this.canvas.width);
  }

  #draw() {
    const { canvas, pen, picture, place, divider, column } = this;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    this.loupe.hidden = !(this.#lens && picture);
    if (!picture) return;
    const here = layout(place, picture, canvas);
    const end = divider.hidden ? canvas.width : column;
    this.#paint(pen, here, 0, 0, end);
    this.#paint(pen, here, 1, end, canvas.width);
    if (this.#lens) this.#magnify(here);
  }

  // One side, between two columns of the stage.
  #paint(pen, here, number, from, to, sharp = false) {
    pen.save();
    pen.beginPath();
    pen.rect(from, 0, to - from, this.canvas.height);
    pen.clip();
    for (const kept of new Set([this.#whole, this.#shown])) {
      if (!kept) continue;
      const [x, width] = span(kept.x, here.x);
      const [y, height] = span(kept.y, here.y);
      pen.imageSmoothingEnabled = !sharp && kept.x.factor !== here.x.factor;
      pen.fillStyle = (this.checks ??= checks(pen));
      pen.fillRect(x, y, width, height);
      pen.drawImage(kept.sides[number], x, y, width, height);
    }
    pen.restore();
  }

  // Around the pointer the left method on its left, the right one on its right.
  #magnify(here) {
    const { loupe, canvas } = this;
    const { x, y } = this.pointer ?? { x: canvas.width / 2, y: canvas.height / 2 };
    const ratio = canvas.width / canvas.clientWidth;
    loupe.width = loupe.height = Math.round(240 * ratio);
    const pen = loupe.getContext("2d");
    const reach = loupe.width / 2;
    pen.setTransform(LENS, 0, 0, LENS, reach - Math.round(x) * LENS, reach - Math.round(y) * LENS);
    this.#paint(pen, here, 0, x - reach, Math.round(x), true);
    this.#paint(pen, here, 1, Math.round(x), x + reach, true);
    loupe.style.translate = `${x / ratio - 120}px ${y / ratio - 120}px`;
  }

  #listen() {
    const { canvas, divider } = this;
    const observer = new ResizeObserver(([entry]) => {
      const box = entry.devicePixelContentBoxSize?.[0]; // exact where the ratio is no whole number
      const pixels = (told, length) => {
        const about = length * devicePixelRatio;
        return Math.abs(told - about) < 1 ? told : Math.round(about);
      };
      canvas.width = pixels(box?.inlineSize, entry.contentRect.width);
      canvas.height = pixels(box?.blockSize, entry.contentRect.height);
      if (this.picture && (this.fitted || !this.place)) this.fit();
      else this.touch();
      this.#draw();
    });
    try {
      observer.observe(canvas, { box: "device-pixel-content-box" });
    } catch { // Safari
      observer.observe(canvas);
    }
    this.root.addEventListener("wheel", (event) => { // over the divider too
      event.preventDefault();
      const { x, y } = this.#at(event);
      const lines = [1, 16, 800][event.deltaMode];
      this.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, this.#at(event));
    });
    canvas.addEventListener("pointermove", (event) => this.#follow(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.#pointers.delete(event.pointerId));
    }
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.redraw(); });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
    divider.addEventListener("pointermove", (event) => {
      if (divider.hasPointerCapture(event.pointerId)) {
        this.#divide(this.#at(event).x / canvas.width);
      }
    });
    divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, ArrowDown: -0.02, ArrowUp: 0.02,
        PageDown: -0.2, PageUp: 0.2, Home: -1, End: 1 }[event.key];
      if (!step) return this.#key(event);
      event.preventDefault();
      this.#divide(this.cut + step);
    });
  }

  #divide(cut) {
    this.cut = Math.min(Math.max(cut, 0), 1);
    this.divider.style.left = `${100 * this.cut}%`;
    this.divider.ariaValueNow = Math.round(100 * this.cut);
    this.redraw();
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  #follow(event) {
    const now = this.#at(event);
    this.pointer = now;
    const before = this.#pointers.get(event.pointerId);
    if (before && this.picture) {
      const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
        this.zoom(apart(now) / apart(before), (before.x + other.x) / 2, (before.y + other.y) / 2);
      }
      const share = other ? 0.5 : 1;
      this.pan((now.x - before.x) * share, (now.y - before.y) * share);
      this.#pointers.set(event.pointerId, now);
    }
    if (this.#lens) this.redraw();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.picture) return;
    const { x, y } = this.pointer ?? {};
    const step = (event.shiftKey ? 0.5 : 0.1) * this.canvas.height;
    const actions = {
      "+": () => this.zoom(1.1, x, y), "=": () => this.zoom(1.1, x, y),
      "-": () => this.zoom(1 / 1.1, x, y), _: () => this.zoom(1 / 1.1, x, y),
      0: () => this.fit(), 1: () => this.zoomTo(1, x, y),
      l: () => { this.#lens = !this.#lens; this.redraw(); },
      ArrowLeft: () => this.pan(step, 0), ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step), ArrowDown: () => this.pan(0, -step),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

function span(kept, here) {
  const start = moved(kept, here, kept.first);
  return [start, moved(kept, here, kept.first + kept.length) - start];
}

// A canvas for each side; one for both where the method is the same.
function sheets(methods, width, height) {
  const sheet = () => Object.assign(document.createElement("canvas"), { width, height });
  const first = sheet();
  return [first, methods[0] === methods[1] ? first : sheet()];
}

// What lies behind transparency.
function checks(pen) {
  const tile = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  const ground = tile.getContext("2d");
  ground.fillStyle = "#fff";
  ground.fillRect(0, 0, 16, 16);
  ground.fillStyle = "#ccc";
  ground.fillRect(0, 0, 8, 8);
  ground.fillRect(8, 8, 8, 8);
  return pen.createPattern(tile, "repeat");
}
