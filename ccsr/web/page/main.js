// Lists, forms and downloads around the stage.

import { ask, post, send } from "./api.js";
import { layout, rounded, target } from "./geometry.js";
import { Stage } from "./stage.js";

const POLL = 400; // ms between looks at what is being computed
const $ = (id) => document.getElementById(id);
let state = { pictures: [], enlargements: [], models: [], fixed: [], formats: [] };
let timer, asked = {}, typing = false; // whether the box has what the view did not follow yet

const told = (words) => ($("status").textContent = words);
const stage = new Stage($("stage"), { told, changed });
const say = (words) => ($("message").textContent = words);
const guarded = (action) => (...given) => action(...given).catch((error) => say(error.message));
const whole = (picture) => picture && (picture.of || picture.id); // of a frame
const usable = () => state.pictures.filter((picture) => !picture.error);

function make(tag, fields, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

// A button that asks the server for something.
const button = (textContent, action, fields) => make("button", { textContent, type: "button",
  onclick: guarded(async () => refresh(await action())), ...fields });

// Replaces the rows of a list, and leaves the focus where it was.
function fill(list, rows) {
  const places = () => [...list.querySelectorAll("button")];
  const focused = places().indexOf(document.activeElement);
  list.replaceChildren(...rows);
  if (focused >= 0) places().at(Math.min(focused, places().length - 1))?.focus();
}

const poll = guarded(refresh);

async function refresh() {
  clearTimeout(timer);
  state = await (await ask(`state?model=${encodeURIComponent($("model").value)}`)).json();
  if (!$("left").options.length) offer();
  listPictures();
  fill($("results"), state.enlargements.map(result).reverse());
  changed();
  if (state.busy) timer = setTimeout(poll, POLL);
}

function offer() {
  const models = state.models.map((model) => model.name);
  const options = { left: [...state.fixed, ...models], right: [...models, ...state.fixed],
    model: models, format: state.formats };
  for (const [id, names] of Object.entries(options))
    $(id).append(...names.map((name) => new Option(name)));
  compare();
  chooseFormat();
}

function compare() {
  const names = [$("left").value, $("right").value];
  stage.compare(names);
  document.querySelectorAll(".tag").forEach((tag, number) => {
    tag.textContent = !stage.picture || (number && names[0] === names[1]) ? "" : names[number];
  });
}

function chooseFormat() {
  for (const label of document.querySelectorAll("[data-for]"))
    label.hidden = !label.dataset.for.split(",").includes($("format").value);
}

function show(picture) {
  typing = false;
  stage.show(picture);
  const several = state.pictures.find(({ id }) => id === whole(picture))?.frames ?? 1;
  $("frames").hidden = $("which").options[1].hidden = several < 2;
  Object.assign($("frame"), { value: picture?.frame || 1, max: several });
  $("of").textContent = `of ${several}`;
  $("empty").hidden = Boolean(picture);
  $("start").disabled = !picture;
  compare();
  listPictures();
}

const turn = guarded(async () => {
  const [{ picture }, frame] = [stage, Number($("frame").value)];
  const turned = await post(`pictures/${whole(picture)}/frames`, { frame });
  say("");
  if (picture === stage.picture) show(turned);
});

function listPictures() {
  const current = usable().find((picture) => picture.id === whole(stage.picture)) ?? null;
  const next = current ?? usable()[0] ?? null;
  if (next !== current || (stage.picture && !current)) return show(next);
  const rows = state.pictures.map((picture) => {
    const { id, name, about, error } = picture;
    const choice = make("button", { onclick: () => show(picture), disabled: Boolean(error),
      className: error ? "name bad" : "name", ariaCurrent: picture === current },
    make("b", { textContent: name }), make("small", { textContent: about }));
    const remove = () => ask(`pictures/${id}`, "DELETE");
    return make("li", {}, choice, button("×", remove, { ariaLabel: `Remove ${name}` }));
  });
  fill($("pictures"), rows);
}

const take = guarded(async (files) => {
  let [shown, problem] = [false, ""];
  if (!state.largest) await refresh(); // dropped before the page knows of anything
  for (const file of files) {
    say(`Taking ${file.name} …`);
    try {
      if (file.size > state.largest) throw new Error(`${file.name} is too large to be sent`);
      await file.slice(0, 1).arrayBuffer().catch(() => {
        throw new Error(`${file.name} cannot be read: if it is a folder, choose its pictures`);
      });
      const picture = await send(file);
      state.pictures.push(picture);
      shown || picture.error ? listPictures() : show(picture);
      shown ||= !picture.error;
    } catch (error) {
      problem = error.message;
    }
  }
  await refresh();
  say(problem);
});

function changed() {
  const { place, picture, canvas } = stage;
  if (!picture) return ($("size").textContent = $("factor").value = "");
  const { x, y } = layout(place, picture, canvas);
  const [across, down] = [place.sx, place.sy].map(rounded);
  const factor = across === down ? across : `${across}x${down}`;
  if (!typing) $("factor").value = place.target?.text ?? factor;
  const pace = state.models.find((model) => model.name === $("model").value)?.pace;
  const [inputs, outputs] = [picture.width * picture.height, x.whole * y.whole];
  const frames = $("which").value === "frame" ? 1 : Number($("frame").max);
  const seconds = pace ? frames * (pace[0] * inputs + pace[1] * outputs) : 0;
  $("size").textContent = `${x.whole} × ${y.whole} pixels` +
    (pace ? `, about ${Number(seconds.toPrecision(2))} s` : "");
}

// Moves the view to what was typed, which the server understands; fails if that is no size.
async function heed(text) {
  const { picture } = stage;
  if (!picture || !typing) return;
  $("stage").ariaBusy = stage.awaited = true; // though a view may end meanwhile
  const answer = post("size", { picture: picture.id, text }).finally(() => (stage.awaited = false));
  const { error, ...to } = await answer.catch(({ message }) => ({ error: message }));
  if (error) { $("stage").ariaBusy = "false"; throw new Error(error); }
  if (!typing || picture !== stage.picture) return; // moved by other means since
  typing = text !== $("factor").value;
  stage.go(to);
}

function follow() { // once, though Enter says it twice, as a change and to submit
  const text = $("factor").value;
  if (asked.text !== text) asked = { text, heeded: heed(text).finally(() => (asked = {})) };
  return asked.heeded;
}

const typed = guarded(async (event) => { event.preventDefault(); await follow(); say(""); });

const enlarge = guarded(async (event) => {
  event.preventDefault();
  await follow(); // the button may be pressed with the cursor in the box
  say("");
  const given = (id) => $(id).closest("[hidden]") ? "" : $(id).value;
  const [format, lossless] = $("format").value.split(" ");
  const colour = given("background").match(/\w\w/g)?.map((part) => parseInt(part, 16)) ?? null;
  const output = { format, lossless: Boolean(lossless), quality: Number(given("quality")) || null,
    background: colour, metadata: $("metadata").value };
  const which = $("which").value;
  const pictures = (which === "all" ? usable() : [stage.picture]).map(whole);
  const frame = which === "frame" ? Number($("frame").value) : null;
  await post("enlargements", { pictures, frame, output, target: target(stage.place),
    model: $("model").value });
  await refresh();
  $("results").firstChild?.scrollIntoView({ block: "nearest" });
});

function result({ id, title, running, items }) {
  const load = (item) => async () => {
    const { url, name = "" } = await post("tickets", { enlargement: id, item });
    make("a", { href: url, download: name }).click();
  };
  const rows = items.map(({ name, state: word, share, text }, number) => make("li", {},
    make("b", { textContent: name }),
    make("small", { textContent: text, className: word === "failed" ? "bad" : "" }),
    word === "running" ? make("progress", { value: share, ariaLabel: name }) : "",
    word === "done" ? button("Download", load(number), { ariaLabel: `Download ${name}` }) : ""));
  const done = items.filter((item) => item.state === "done").length;
  const path = `enlargements/${id}`;
  return make("li", {}, make("small", { textContent: title }), make("ul", {}, ...rows),
    items.length > 1 && done ? button(`Download ${done} as zip`, load()) : "",
    running ? button("Cancel", () => ask(path, "POST"))
      : button("Remove", () => ask(path, "DELETE")));
}

for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    $("stage").classList.toggle("over", name === "dragover");
    if (name === "drop") take([...event.dataTransfer.files]);
  });
}
addEventListener("paste", (event) => take([...event.clipboardData.files]));
addEventListener("focus", poll);
for (const each of document.querySelectorAll(".choose")) each.onclick = () => $("files").click();
const choose = $("files").onchange = () => { take([...$("files").files]); $("files").value = ""; };
$("factor").oninput = () => (typing = true); $("enlarge").onsubmit = enlarge;
$("factor-form").onsubmit = $("factor").onchange = typed;
const moves = { in: () => stage.zoom(1.1), out: () => stage.zoom(1 / 1.1), fit: () => stage.fit(),
  one: () => stage.picture && stage.go({ sx: 1, sy: 1 }) };
for (const id in moves) $(id).onclick = () => { typing = false; moves[id](); };
$("left").onchange = $("right").onchange = compare; $("frame").onchange = turn;
$("model").onchange = poll; $("format").onchange = chooseFormat; $("which").onchange = changed;
$("files").files.length ? choose() : poll(); // some may be chosen before the page is ready
