// The labelling page: two clips played by one clock, and keys to say which one does better.
import { ask, Refused } from "./api.js";
import { Player } from "./player.js";

const $ = (id) => document.getElementById(id);
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", "=": "tie", " ": "skip" };
const SAID = { left: "Left is better.", right: "Right is better.", tie: "About equal.", skip: "Skipped." };
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const player = new Player($("left"), $("right"));
const clips = new Map(); // query id -> promise of its clip, loaded before it is wanted
let who = cookie("rlhf_gym_who");
let shown = null; // the query in view: its id, and since when
let busy = false; // while an answer is on its way nothing else is taken
let answeredAt = null;
let done = false; // all labels are there
let resting;

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : null;
}

function view(name) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== name;
  document.body.dataset.view = name;
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text || "";
}

function say(text) {
  $("said").textContent = text;
}

function standing({ answered, by_you, labels, median_seconds, waiting }) {
  const parts = [labels === null ? `${answered} labels` : `${answered} of ${labels} labels`, `${by_you} by you`];
  if (median_seconds !== null) parts.push(`${median_seconds.toFixed(1)} s each`);
  $("standing").textContent = parts.join(" · ");
  $("bar").hidden = labels === null;
  $("bar").max = labels || 1;
  $("bar").value = answered;
  done = labels !== null && answered >= labels;
  $("rest-title").textContent = done ? "All labels are there. Thank you!" : "Nothing to compare just now";
  $("rest-text").textContent = done
    ? "If more is to be asked, it appears here by itself."
    : waiting > 0 ? "What is left is with others. It appears here if it comes free."
    : "The next pair appears here by itself.";
}

let lost = false;

// Ask until it is answered: a server that is started again finds every answer that it had taken.
async function insist(path, body) {
  for (;;) {
    try {
      const told = await ask(path, body);
      if (lost) notice("");  // and nothing else that stands there: clips are loaded beside the query in view
      lost = false;
      $("undo-rest").hidden = false;
      return told;
    } catch (error) {
      if (error instanceof Refused && error.status < 500) throw error;
      lost = true;
      if (done && !(error instanceof Refused)) over();
      else notice("The connection is lost. Trying again…");
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function load(id) {
  if (!clips.has(id)) {
    const loading = player.load(id, insist);
    loading.catch(() => clips.delete(id));
    clips.set(id, loading);
  }
  return clips.get(id);
}

async function forget(keep) {
  for (const [id, loading] of [...clips]) {
    if (keep.includes(id)) continue;
    clips.delete(id);
    loading.then((clip) => clip.close(), () => {});
  }
}

async function next() {
  clearTimeout(resting);
  const told = await insist("/api/next", { who });
  if (told.instructions) $("instructions").textContent = told.instructions;
  standing(told.progress);
  if (told.query_id === null) return rest();
  await show(told.query_id);
  preload([told.query_id, ...told.ahead]);
}

// One after the other, so that the one wanted first has the line to itself; two ahead would fill a phone's memory.
async function preload(ids) {
  forget(ids.slice(0, 2));
  if (ids.length > 1) await load(ids[1]).catch(() => {});
  // What comes after that is drawn on the server meanwhile.
}

async function show(id) {
  let clip = null, refusal = "";
  const slow = setTimeout(() => {
    if (document.body.dataset.view !== "query") view("query");
    $("query").classList.add("empty");
    say("The clips are being drawn.");
    pace("The clips are being drawn…");
  }, 250);
  try {
    clip = await load(id);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refusal = error.message;
  }
  clearTimeout(slow);
  if (refusal && /not in the store/.test(refusal)) return next();
  view("query");
  $("query").classList.toggle("empty", !clip);
  notice(refusal && `${refusal}. You can only skip it.`);
  pace(clip && clip.slowdown > 1.05 ? `Shown ${Number(clip.slowdown.toPrecision(2))} times slower than it happened.` : "");
  if (clip) player.play(clip, { loop: !calm.matches });
  for (const chosen of document.querySelectorAll(".chosen")) chosen.classList.remove("chosen");
  pressed(false);
  shown = { id, since: performance.now(), drawn: Boolean(clip) };
  $("query").dataset.query = id;
  if (answeredAt !== null) $("query").dataset.wait = Math.round(performance.now() - answeredAt);
  answeredAt = null;
}

function pace(text) {
  $("pace").hidden = !text;
  $("pace").textContent = text;
}

function rest() {
  shown = null;
  player.stop();
  if (document.body.dataset.view !== "rest") say($("rest-title").textContent);
  view("rest");
  pace("");
  resting = setTimeout(async () => {
    if (busy) return rest();
    busy = true; // or an undo could come in between
    await next().catch(complain);
    busy = false;
  }, 1000);
}

// The server went when all labels were there, as it does at the end of a run; should it come back, it is asked again.
function over() {
  notice("");
  shown = null;
  player.stop();
  view("rest");
  pace("");
  $("rest-text").textContent = "The run is over. You may close this page.";
  $("undo-rest").hidden = true;
}

async function answer(choice) {
  if (busy || !shown || (!shown.drawn && choice !== "skip")) return;
  busy = true;
  const { id, since } = shown;
  answeredAt = performance.now();
  document.querySelector(`[data-answer=${choice}]`).classList.add("chosen");
  try {
    const seconds = Math.min(86400, (answeredAt - since) / 1000);
    const progress = await insist("/api/answers", { who, query_id: id, answer: choice, seconds }).catch((error) => {
      if (![404, 409].includes(error.status)) throw error;
      say("Somebody else has answered this one meanwhile.");
    });
    if (progress) standing(progress); // the last answer ends the run, and soon the server
    shown = null;
    say(SAID[choice]);
    await next();
  } catch (error) {
    complain(error);
  }
  busy = false;
}

async function undo() {
  if (busy || !who || document.body.dataset.view === "name") return;
  busy = true;
  clearTimeout(resting);
  try {
    const told = await insist("/api/undo", { who });
    standing(told.progress);
    if (told.query_id === null) {
      say("There is nothing to undo.");
      if (!shown) rest();
    } else {
      say("Your last answer is taken back. Here it is again.");
      await show(told.query_id);
    }
  } catch (error) {
    complain(error);
  }
  busy = false;
}

function pressed(paused) {
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").firstChild.textContent = paused ? "Play " : "Pause ";
}

function complain(error) {
  notice(error instanceof Refused ? error.message : `Something went wrong: ${error.message || error}. Load the page again.`);
}

function begin() {
  $("me").textContent = `You are ${who}.`;
  $("rename").hidden = false;
  next().catch(complain);
}

function askName() {
  clearTimeout(resting);
  player.stop();
  shown = null;
  $("me").textContent = "";
  $("rename").hidden = true;
  $("who").value = who || "";
  view("name");
  $("who").focus();
}

$("ask-name").addEventListener("submit", (event) => {
  event.preventDefault();
  who = $("who").value.trim().replace(/\s+/g, " ");
  if (!who) return;
  document.cookie = `rlhf_gym_who=${encodeURIComponent(who)}; path=/; max-age=31536000; samesite=strict`;
  begin();
});

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
  const view = document.body.dataset.view;
  const onControl = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
  if (onControl && [" ", "Enter"].includes(event.key)) return; // whoever tabbed there means the button
  if (event.key === "Backspace" && ["query", "rest"].includes(view)) undo();
  else if (view !== "query") return;
  else if (event.key in KEYS) answer(KEYS[event.key]);
  else if (event.key === "r" || event.key === "R") $("replay").click();
  else if (event.key === "p" || event.key === "P") $("pause").click();
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const control = event.target.closest("button, canvas");
  if (!control) return;
  // A button that was clicked shouldn't keep the space bar for itself; one that was reached by Tab should.
  if (event.detail > 0 && control instanceof HTMLButtonElement) control.blur();
  if (control instanceof HTMLCanvasElement) answer(control.id);
  else if (control.dataset.answer) answer(control.dataset.answer);
  else if (control.id === "undo" || control.id === "undo-rest") undo();
  else if (control.id === "rename") askName();
  else if (control.id === "replay") pressed(player.replay());
  else if (control.id === "pause") pressed(player.toggle());
});

if (who) begin();
else askName();
