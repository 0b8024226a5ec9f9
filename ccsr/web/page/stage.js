// The picture on the screen: moved without steps, computed when it rests.

import { view } from "./api.js";
import { LARGEST, LEAST, layout, moved, rounded, target } from "./geometry.js";

const REST = 120; // ms without input after which a view is asked for
const KEPT = 40; // device pixels of the stage into which the picture always reaches
const LENS = 5; // what the loupe magnifies by
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

export class Stage {
  picture = null;
  methods = ["bicubic", "bicubic"];
  #shown = null; // the newest view of which each pixel is here
  #whole = null; // the last view of the whole picture, for what was not on the screen before
  #pointers = new Map();
  #lens = false;
  #column = () => Math.round((this.divider.value / 100) * this.canvas.width);

  // `told` gets a text for the person; `changed` is called when the place is another one.
  constructor(root, { told, changed }) {
    Object.assign(this, { root, told, changed });
    for (const name of ["canvas", "loupe", "divider"]) this[name] = root.querySelector(`#${name}`);
    this.pen = this.canvas.getContext("2d");
    this.#listen();
  }

  show(picture) {
    const before = this.picture;
    if (picture?.id === before?.id) return;
    this.picture = picture;
    this.canvas.ariaLabel = picture?.name ?? "No picture";
    this.#shown = this.#whole = null;
    const alike = (side) => picture[side] === before[side];
    const stays = picture?.of && !this.fitted && alike("width") && alike("height");
    this[stays ? "touch" : "fit"](); // the next frame is seen at the same place
  }

  compare(methods) {
    this.methods = methods;
    this.divider.hidden = !this.picture || methods[0] === methods[1];
    this.touch();
  }

  fit() {
    const { picture, canvas } = this;
    if (picture) {
      const { width, height } = picture;
      const whole = Math.min(canvas.width / width, canvas.height / height);
      const s = rounded(clamp(whole, LEAST, LARGEST));
      this.place = { sx: s, sy: s, cx: width / 2, cy: height / 2 };
    }
    this.touch();
    this.fitted = true;
  }

  // To other factors, and perhaps a typed size, with the same position at a point of the stage.
  go(to, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const [{ sx, sy, cx, cy }, { width, height }] = [this.place, this.canvas];
    const [right, down] = [x - width / 2, y - height / 2];
    this.place = { ...to, cx: cx + right / sx - right / to.sx, cy: cy + down / sy - down / to.sy };
    this.touch();
  }

  zoom(by, x, y) {
    if (!this.picture) return;
    const [{ sx, sy }, { width, height }] = [this.place, this.picture];
    const least = clamp(16 / Math.max(width, height), LEAST, 1);
    const ratio = clamp(by, least / Math.min(sx, sy), LARGEST / Math.max(sx, sy));
    this.go({ sx: sx * ratio, sy: sy * ratio }, x, y);
  }

  pan(right, down) {
    if (!this.picture) return;
    this.place.cx -= right / this.place.sx;
    this.place.cy -= down / this.place.sy;
    this.touch();
  }

  // Something moved: draw what is here, and compute once it rests.
  touch() {
    const { place, picture, canvas, root } = this;
    this.abort?.abort();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#rest(), REST);
    this.fitted = false;
    if (picture) {
      const beyond = (room, s) => Math.max(0, room / 2 - KEPT) / s;
      const [right, down] = [beyond(canvas.width, place.sx), beyond(canvas.height, place.sy)];
      place.cx = clamp(place.cx, -right, picture.width + right);
      place.cy = clamp(place.cy, -down, picture.height + down);
    }
    root.setAttribute("aria-busy", Boolean(picture));
    this.redraw();
    this.changed();
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => this.#draw());
  }

  async #rest() {
    const { place, picture, canvas, methods } = this;
    if (!picture) return this.told("");
    if (!place.size) [place.sx, place.sy] = [rounded(place.sx), rounded(place.sy)];
    const { x, y } = layout(place, picture, canvas);
    [place.cx, place.cy] = [x.centre, y.centre]; // whole pixels of the enlargement on the screen's
    this.changed();
    this.redraw();
    const { signal } = (this.abort = new AbortController());
    const sheet = { width: x.length, height: y.length };
    const sides = methods.map(() => Object.assign(document.createElement("canvas"), sheet));
    const [fresh, missing] = [{ x, y, sides }, sides.map(() => x.length * y.length)];
    const begun = performance.now();
    this.told("Computing …");
    try {
      const divider = this.#column() - x.start - x.first;
      const fields = { picture: picture.id, target: target(place), methods, divider,
        left: x.first, top: y.first, width: x.length, height: y.length };
      await view(fields, signal, (mask, left, top, image) => {
        for (const number of [0, 1].filter((number) => mask & (1 << number))) {
          sides[number].getContext("2d").putImageData(image, left, top);
          missing[number] -= image.width * image.height;
        }
        if (Math.max(...missing) <= 0) this.#shown = fresh;
        this.redraw();
      });
      if (x.length === x.whole && y.length === y.whole) this.#whole = fresh;
      const seconds = ((performance.now() - begun) / 1000).toFixed(2);
      this.told(`Exact, ${x.length} × ${y.length} pixels in ${seconds} s`);
    } catch (error) {
      if (signal.aborted) return;
      this.told(error.message);
    }
    this.#draw();
    this.root.setAttribute("aria-busy", Boolean(this.awaited));
  }

  #draw() {
    const { canvas, pen, picture, divider, loupe } = this;
    this.frame = null;
    loupe.hidden = !(this.#lens && picture);
    pen.fillStyle = getComputedStyle(this.root).backgroundColor;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (!picture) return;
    const here = layout(this.place, picture, canvas);
    const end = divider.hidden ? canvas.width : this.#column();
    this.#paint(pen, here, 0, 0, end);
    this.#paint(pen, here, 1, end, canvas.width);
    if (this.#lens) this.#magnify(here);
  }

  // One side, between two columns of the stage; where it is transparent the style shows through.
  #paint(pen, here, number, from, to, sharp = false) {
    pen.save(); pen.beginPath();
    pen.rect(from, 0, to - from, this.canvas.height);
    pen.clip();
    for (const kept of [this.#whole, this.#shown]) {
      if (!kept) continue;
      const [x, width] = moved(kept.x, here.x);
      const [y, height] = moved(kept.y, here.y);
      pen.imageSmoothingEnabled = !sharp && kept.x.factor !== here.x.factor;
      pen.clearRect(x, y, width, height);
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
    const [pen, reach, middle] = [loupe.getContext("2d"), loupe.width / 2, Math.round(x)];
    pen.setTransform(LENS, 0, 0, LENS, reach - middle * LENS, reach - Math.round(y) * LENS);
    this.#paint(pen, here, 0, middle - reach, middle, true);
    this.#paint(pen, here, 1, middle, middle + reach, true);
    loupe.style.translate = `${x / ratio - 120}px ${y / ratio - 120}px`;
  }

  #listen() {
    const { canvas, divider, root } = this;
    const observer = new ResizeObserver(([{ contentRect, devicePixelContentBoxSize: box }]) => {
      const pixels = (exact, about) => Math.abs(exact - about) < 1 ? exact : Math.round(about);
      canvas.width = pixels(box?.[0].inlineSize, contentRect.width * devicePixelRatio);
      canvas.height = pixels(box?.[0].blockSize, contentRect.height * devicePixelRatio);
      this[this.fitted ? "fit" : "touch"]();
      this.#draw();
    });
    const exact = "devicePixelContentBoxSize" in ResizeObserverEntry.prototype;
    observer.observe(canvas, exact ? { box: "device-pixel-content-box" } : {});
    root.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = this.#at(event);
      const turned = event.deltaY * [1, 16, 800][event.deltaMode]; // pixels, lines, pages
      this.zoom(Math.exp(-turned * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
    }, { passive: false });
    canvas.onpointerdown = (event) => {
      if (event.button) return; // its menu may swallow the end of a drag
      canvas.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, this.#at(event));
    };
    canvas.onpointermove = (event) => this.#follow(event);
    canvas.onlostpointercapture = (event) => this.#pointers.delete(event.pointerId);
    canvas.onpointerleave = () => (this.pointer = null); divider.oninput = () => this.redraw();
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  // One finger or a button moves the picture, two fingers zoom too, about their middle.
  #follow(event) {
    const [now, before] = [this.#at(event), this.#pointers.get(event.pointerId)];
    this.pointer = now;
    if (this.#lens) this.redraw();
    if (!before) return;
    this.#pointers.set(event.pointerId, now);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    const share = other ? 0.5 : 1;
    if (other) {
      const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
      const [x, y] = [(before.x + other.x) / 2, (before.y + other.y) / 2];
      this.zoom(apart(now) / apart(before), x, y);
    }
    this.pan((now.x - before.x) * share, (now.y - before.y) * share);
  }

  #key(event) {
    const at = event.target; // other parts of the page have keys of their own
    const own = at === this.divider ? /^(Arrow|Page|Home|End)/.test(event.key) :
      at !== document.body && !this.root.contains(at);
    if (own || event.ctrlKey || event.metaKey || event.altKey || !this.picture) return;
    const { x, y } = this.pointer ?? {};
    const step = (event.shiftKey ? 0.5 : 0.1) * this.canvas.height;
    const actions = {
      "+": () => this.zoom(1.1, x, y), "-": () => this.zoom(1 / 1.1, x, y),
      0: () => this.fit(), 1: () => this.go({ sx: 1, sy: 1 }, x, y),
      l: () => { this.#lens = !this.#lens; this.redraw(); },
      ArrowLeft: () => this.pan(step, 0), ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step), ArrowDown: () => this.pan(0, -step),
    };
    const key = { "=": "+", _: "-", L: "l" }[event.key] ?? event.key;
    if (!actions[key]) return;
    event.preventDefault();
    actions[key]();
  }
}
