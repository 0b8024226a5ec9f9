// Lists, forms and downloads around the stage.

import { ask, post, send } from "./api.js";
import { layout, parse, target, text } from "./geometry.js";
import { Stage } from "./stage.js";

const POLL = 400; // ms between looks at what is being enlarged
const $ = (id) => document.getElementById(id);
let state = { pictures: [], enlargements: [], models: [], fixed: [], formats: [] };
let sending = []; // names of files on their way
let timer;

const stage = new Stage($("stage"), { told: (words) => ($("status").textContent = words), changed });

function make(tag, fields = {}, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

function say(error) {
  $("message").textContent = error?.message ?? error;
}

const guarded = (action) => async (...given) => {
  try {
    await action(...given);
  } catch (error) {
    say(error);
  }
};

async function refresh() {
  clearTimeout(timer);
  state = await (await ask("state")).json();
  if (!$("left").options.length) fillChoices();
  listPictures();
  listResults();
  const waits = state.enlargements.some((each) => each.running) ||
    state.models.some((model) => stage.methods.includes(model.name) && !model.pace);
  if (waits) timer = setTimeout(guarded(refresh), POLL);
}

function fillChoices() {
  const models = state.models.map((model) => model.name);
  const fill = (id, names, chosen) => {
    $(id).append(...names.map((name) => make("option", { value: name, textContent: name })));
    $(id).value = chosen;
  };
  fill("left", [...state.fixed, ...models], state.fixed[0]);
  fill("right", [...state.fixed, ...models], models[0]);
  fill("model", models, models[0]);
  fill("format", state.formats, "png");
  choose();
  chooseFormat();
}

function choose() {
  const [left, right] = [$("left").value, $("right").value];
  stage.compare([left, right]);
  $("tag-left").textContent = stage.picture ? left : "";
  $("tag-right").textContent = stage.picture && left !== right ? right : "";
}

function chooseFormat() {
  for (const label of document.querySelectorAll("[data-for]")) {
    label.hidden = !label.dataset.for.split(" ").includes($("format").value);
  }
}

function show(picture) {
  stage.show(picture);
  $("empty").hidden = Boolean(picture);
  $("start").disabled = !picture;
  choose();
  listPictures();
}

function listPictures() {
  const good = state.pictures.filter((picture) => !picture.error);
  const current = good.find((picture) => picture.id === stage.picture?.id);
  if (!current && (good.length || stage.picture)) return show(good[0] ?? null);
  const rows = state.pictures.map((picture) => {
    const about = picture.error || `${picture.width} × ${picture.height}` +
      (picture.frames > 1 ? `, ${picture.frames} frames or pages` : "");
    const button = make("button", { className: picture.error ? "name bad" : "name",
      onclick: () => show(picture), disabled: Boolean(picture.error) },
    make("b", { textContent: picture.name }), make("small", { textContent: about }));
    if (picture === current) button.setAttribute("aria-current", "true");
    return make("li", {}, button, make("button", { textContent: "×",
      ariaLabel: `Remove ${picture.name}`, onclick: guarded(async () => {
        await ask(`pictures/${picture.id}`, "DELETE");
        await refresh();
      }) }));
  });
  rows.push(...sending.map((name) => make("li", {}, make("small", { textContent: `${name} …` }))));
  fill($("pictures"), rows);
}

// Replaces the rows, and leaves the focus where it was.
function fill(list, rows) {
  const buttons = () => [...list.querySelectorAll("button")];
  const focused = buttons().indexOf(document.activeElement);
  list.replaceChildren(...rows);
  if (focused >= 0) buttons()[Math.min(focused, buttons().length - 1)]?.focus();
}

const take = guarded(async (files) => {
  say("");
  sending = files.map((file) => file.name);
  let problem = "";
  for (const file of files) {
    try {
      if (file.size > state.largest) throw new Error(`${file.name} is too large to be sent`);
      const picture = await send(file);
      state.pictures.push(picture);
      if (!picture.error && file === files[0]) show(picture);
    } catch (error) {
      problem = error.message;
    }
    sending.shift();
    listPictures();
  }
  await refresh();
  if (problem) say(problem);
});

function changed() {
  const { place, picture, canvas } = stage;
  if (!picture) return ($("size").textContent = $("factor").value = "");
  const { x, y } = layout(place, picture, canvas);
  const pace = state.models.find((model) => model.name === $("model").value)?.pace;
  const seconds = pace && picture.frames *
    (pace[0] * picture.width * picture.height + pace[1] * x.whole * y.whole);
  if (document.activeElement !== $("factor")) $("factor").value = text(place);
  $("size").textContent = `${x.whole} × ${y.whole} pixels` +
    (seconds ? `, about ${duration(seconds)} to enlarge` : "");
}

function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 100 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

const enlarge = guarded(async (event) => {
  event.preventDefault();
  say("");
  const shown = (id) => !$(id).closest("[hidden]");
  const output = { format: $("format").value, metadata: $("metadata").value };
  if (shown("quality") && $("quality").value) output.quality = Number($("quality").value);
  if (shown("lossless")) output.lossless = $("lossless").checked;
  if (shown("background")) {
    output.background = $("background").value.match(/\w\w/g).map((part) => parseInt(part, 16));
  }
  const all = state.pictures.filter((picture) => !picture.error).map((picture) => picture.id);
  await post("enlargements", { pictures: $("which").value === "all" ? all : [stage.picture.id],
    target: target(stage.place), model: $("model").value, output });
  await refresh();
});

function listResults() {
  fill($("results"), state.enlargements.map(result).reverse());
}

function result(each) {
  const act = (words, action) => make("button", { textContent: words, type: "button",
    onclick: guarded(async () => {
      await action();
      await refresh();
    }) });
  const path = `enlargements/${each.id}`;
  const load = (item) => async () => {
    const { url } = await post("tickets", { enlargement: each.id, item });
    make("a", { href: url, download: "" }).click();
  };
  const done = each.items.filter((item) => item.state === "done").length;
  const actions = make("div", { className: "actions" });
  if (each.items.length > 1 && done) actions.append(act(`Download ${done} as zip`, load()));
  if (each.running) actions.append(act("Cancel", () => ask(path, "POST")));
  else actions.append(act("Remove", () => ask(path, "DELETE")));
  const left = each.running ? `, ${duration(each.left)} left` : "";
  const rows = each.items.map((item, number) => {
    const row = make("li", {}, make("b", { textContent: item.result }));
    const words = item.text || (item.state === "running" ? `${Math.round(100 * item.share)} %` :
      item.state);
    row.append(make("div", { className: item.state === "failed" ? "bad" : "" },
      make("small", { textContent: words })));
    if (item.state === "running") {
      row.append(make("progress", { value: item.share, ariaLabel: item.result }));
    }
    if (item.state === "done") {
      row.append(make("div", { className: "actions" }, act("Download", load(number))));
    }
    return row;
  });
  return make("li", {}, make("small", { textContent: `${each.label}, ${each.model}${left}` }),
    make("ul", {}, ...rows), actions);
}

function typed(event) {
  event.preventDefault();
  if (!stage.picture) return;
  const factors = parse($("factor").value, stage.picture);
  say(factors ? "" : "The size is a factor such as 2.37, pixels such as 1920x1080, or the longest " +
    "side in pixels such as 3000.");
  if (factors) stage.go(factors);
}

$("files").onchange = ({ target: input }) => {
  take([...input.files]);
  input.value = "";
};
for (const button of document.querySelectorAll(".choose")) {
  button.onclick = () => $("files").click();
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("stage").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("stage").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("stage").classList.remove("over");
  take([...event.dataTransfer.files]);
});
addEventListener("focus", guarded(refresh));
$("factor-form").onsubmit = typed;
$("factor").onchange = typed;
$("in").onclick = () => stage.zoom(1.1);
$("out").onclick = () => stage.zoom(1 / 1.1);
$("fit").onclick = () => stage.fit();
$("one").onclick = () => stage.zoomTo(1);
$("left").onchange = choose;
$("right").onchange = () => {
  if (!state.fixed.includes($("right").value)) $("model").value = $("right").value;
  choose();
};
$("model").onchange = changed;
$("format").onchange = chooseFormat;
$("enlarge").onsubmit = enlarge;
guarded(refresh)();
