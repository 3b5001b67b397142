// The labelling page: what is the same whatever is asked. What differs is a module for each kind of query.
import { ask, Refused } from "./api.js";
import { Comparison } from "./comparison.js";
import { Player } from "./player.js";
import { Playing } from "./playing.js";
import { Ranking } from "./ranking.js";
import { Rating } from "./rating.js";
import { SwitchOff } from "./switch_off.js";

const $ = (id) => document.getElementById(id);
const FACES = { comparison: Comparison, ranking: Ranking, rating: Rating, switch_off: SwitchOff,
  demonstration: Playing, correction: Playing };
const SKIP = { " ": "space", s: "S" };
const GLANCE = 300; // milliseconds: an answer that comes sooner was meant for the query before
const RENEWED = 45_000; // milliseconds between two renewals of what is in view, which others get after two minutes
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const player = new Player();
const clips = new Map(); // query id -> promise of its clip, loaded before it is wanted
let who = cookie("rlhf_gym_who");
let instructions = ""; // the researcher's
let face = null; // how queries like the one in view are answered
let faceOf = ""; // and which those are
let shown = null; // the query in view: its id, and since when
let clicked = null; // what was in view at the first click of a double click
let busy = false; // while an answer is on its way nothing else is taken
let sitting = 0; // goes up when somebody else may sit here: what was waited for before changes nothing on the page
let answeredAt = null;
let done = false; // all labels are there
let answered = []; // ids of the queries whose answers may be taken back here, the last one last
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
  $("rest-title").textContent = done ? "All labels are there. Thank you!" : "Nothing to answer just now";
  $("rest-text").textContent = done
    ? "If more is to be asked, it appears here by itself."
    : waiting > 0 ? "What is left needs answers of other people. What comes free appears here by itself."
    : "The next one appears here by itself.";
}

let lost = false;

// Ask until it is answered: a server that is started again finds every answer that it had taken.
async function insist(path, body) {
  const mine = sitting;
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
      if (mine === sitting && done && !(error instanceof Refused)) over();
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

// `word` says what became of the last answer, where that isn't what was wanted.
async function next(word = "") {
  clearTimeout(resting);
  const mine = sitting;
  const told = await insist("api/next", { who });
  if (mine !== sitting) return;
  instructions = told.instructions;
  standing(told.progress);
  if (told.query === null) return rest(word);
  await show(told.query, word);
  if (mine === sitting) preload([told.query.id, ...told.ahead]);
}

// One after the other, so that the one wanted first has the line to itself; two ahead would fill a phone's memory.
async function preload(ids) {
  forget(ids.slice(0, 2));
  if (ids.length > 1) await load(ids[1]).catch(() => {});
  // What comes after that is drawn on the server meanwhile.
}

// Those of one kind stay as they are: whoever is on a button is on the same one of the next query.
function takeOn(query) {
  const wanted = JSON.stringify([query.kind, query.options, query.levels]);
  if (wanted === faceOf) return;
  faceOf = wanted;
  const room = { clips: $("clips"), answers: $("answers"), choices: $("choices") };
  for (const part of Object.values(room)) part.replaceChildren();
  const kind = query.kind.replace(/-\d$/, "");
  face = new FACES[kind](query, room, { send: answer, player, paused: pressed, insist, who: () => who });
  $("query").dataset.kind = kind;
  $("clips").dataset.options = query.options;
  const skip = face.skipKeys[0];
  document.querySelector("[data-answer=skip]").setAttribute("aria-keyshortcuts", skip === " " ? "Space" : "S");
  document.querySelector("[data-answer=skip] kbd").textContent = SKIP[skip];
}

async function show(query, word = "") {
  const { id } = query;
  const mine = sitting;
  let clip = null, refusal = "";
  const slow = setTimeout(() => {
    if (mine !== sitting) return;
    takeOn(query);
    if (document.body.dataset.view !== "query") view("query");
    $("query").classList.add("empty");
    say("The clips are being drawn.");
    pace("The clips are being drawn…");
  }, 250);
  try {
    clip = await load(id);
  } catch (error) {
    refusal = error instanceof Refused ? error.message : "The clip can't be shown here"; // a damaged file, say
  }
  clearTimeout(slow);
  if (mine !== sitting) return;
  if (refusal && /not in the store/.test(refusal)) {
    await new Promise((resolve) => setTimeout(resolve, 1000)); // or it asks without end where the server gives it again
    return mine === sitting ? next(word) : undefined;
  }
  takeOn(query);
  view("query");
  $("query").classList.toggle("empty", !clip);
  notice([word, refusal && `${refusal}. You can only skip it.`].filter(Boolean).join(" "));
  $("instructions").textContent = instructions || face.task;
  const slower = clip && clip.slowdown > 1.05 && `Shown ${Number(clip.slowdown.toPrecision(2))} times slower than it happened.`;
  const plotted = clip && clip.instead && "It can't be drawn: these are plots of what it observed.";
  pace([instructions && face.task, slower, plotted].filter(Boolean).join(" "), clip && clip.instead);
  if (clip) player.play(clip, [...$("clips").querySelectorAll("canvas:not(#live)")], { loop: !calm.matches, watch: () => face.watch?.() });
  else player.stop();
  for (const chosen of document.querySelectorAll(".chosen")) chosen.classList.remove("chosen");
  pressed(false);
  face.begin(query, Boolean(clip));
  shown = { id, since: performance.now(), drawn: Boolean(clip) };
  $("query").dataset.query = id;
  if (answeredAt !== null) $("query").dataset.wait = Math.round(performance.now() - answeredAt);
  answeredAt = null;
}

function pace(text, why) {
  $("pace").hidden = !text;
  $("pace").textContent = text;
  $("pace").title = why || "";
}

function rest(word = "") {
  shown = null;
  player.stop();
  const resumed = document.body.dataset.view === "rest";
  if (!resumed) say($("rest-title").textContent);
  if (!resumed || word) notice(word);
  view("rest");
  $("instructions").textContent = instructions || "Labelling";
  pace("");
  resting = setTimeout(() => {
    if (busy) return rest();
    occupied(next); // or an undo could come in between
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

// Take nothing else until this is done. Somebody else who sits here meanwhile needn't wait for it.
async function occupied(doing) {
  const mine = sitting;
  busy = true;
  try {
    await doing();
  } catch (error) {
    if (mine === sitting) complain(error);
  }
  if (mine === sitting) busy = false;
}

function answer(choice, path = "api/answers") {
  if (busy || !shown || (!shown.drawn && choice !== "skip") || performance.now() - shown.since < GLANCE) return;
  occupied(() => send(choice, path));
}

async function send(choice, path) {
  const mine = sitting;
  face.end?.();
  const { id, since } = shown;
  answeredAt = performance.now();
  const button = [...document.querySelectorAll("[data-answer]")].find((one) => one.dataset.answer === choice);
  (button || document.querySelector(".send"))?.classList.add("chosen");
  const seconds = Math.min(86400, (answeredAt - since) / 1000);
  const said = path === "api/answers" ? { answer: choice } : {}; // elsewhere the server has it
  let word = "";
  const progress = await insist(path, { who, query_id: id, seconds, ...said }).catch((error) => {
    if (![404, 409].includes(error.status)) throw error;
    word = refused(error);
  });
  if (mine !== sitting) return;
  if (progress) {
    standing(progress); // the last answer ends the run, and soon the server
    answered.push(id);
  }
  shown = null;
  if (progress) say(choice === "skip" ? "Skipped." : face.said(choice));
  await next(word);
}

function refused({ status, message }) {
  if (status === 404) return "Your last answer doesn't count: that one isn't asked any more.";
  if (/begin again/.test(message)) return "What you played is gone. Please play it again.";
  return "Your last answer doesn't count: somebody else has that one by now, or you answered it in another window.";
}

function undo() {
  if (busy || !who || document.body.dataset.view === "name") return;
  if (shown && shown.drawn && face.takeBack?.()) return; // what isn't sent yet
  occupied(takeBack);
}

// The last ids, as many as a message may hold.
function lately(ids) {
  const last = ids.slice(-100);
  while (last.length > 1 && JSON.stringify(last).length > 15_000) last.shift();
  return last;
}

async function takeBack() {
  const mine = sitting;
  face?.end?.();
  clearTimeout(resting);
  const told = await insist("api/undo", { who, answered: lately(answered) });
  if (mine !== sitting) return;
  standing(told.progress);
  answered.length = told.query ? Math.max(0, answered.lastIndexOf(told.query.id)) : 0; // what came after is no more
  if (told.query === null) {
    const word = "There is nothing to undo.";
    if (shown) notice(word);
    else rest(word);
  } else {
    instructions = told.instructions;
    await show(told.query, "Your last answer is taken back. Here it is again.");
  }
}

function pressed(paused) {
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").firstChild.textContent = paused ? "Play " : "Pause ";
}

function complain(error) {
  notice(error instanceof Refused ? error.message : `Something went wrong: ${error.message || error}. Load the page again.`);
}

function begin() {
  sitting += 1;
  busy = false;
  answered = [];
  $("me").textContent = `You are ${who}.`;
  $("rename").hidden = false;
  const mine = sitting;
  occupied(async () => {
    const before = await insist(`api/answered?who=${encodeURIComponent(who)}`);
    if (mine !== sitting) return;
    answered = before;
    await next();
  });
}

function askName() {
  sitting += 1;
  busy = false;
  clearTimeout(resting);
  player.stop();
  face?.end?.();
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
  const sent = window === top ? "samesite=strict" : "samesite=none; secure; partitioned"; // in another site's frame
  document.cookie = `rlhf_gym_who=${encodeURIComponent(who)}; path=/; max-age=31536000; ${sent}`;
  begin();
});

// What a key means while a query is in view; whether it means anything.
function means(key) {
  if (key === "r") $("replay").click();
  else if (key === "p") $("pause").click();
  else if (face.skipKeys.includes(key)) answer("skip");
  else if (busy || !shown || !shown.drawn) return [" ", "ArrowLeft", "ArrowRight", "ArrowDown"].includes(key);
  else return face.key(key);
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
  const view = document.body.dataset.view;
  const onControl = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
  if (onControl && [" ", "Enter"].includes(event.key)) return; // whoever tabbed there means the button
  if (event.key === "Backspace" && ["query", "rest"].includes(view)) undo();
  else if (view !== "query" || !means(event.key.length === 1 ? event.key.toLowerCase() : event.key)) return;
  event.preventDefault();
});

document.addEventListener("keyup", (event) => face?.keyUp?.(event.key));
addEventListener("blur", () => face?.keyUp?.()); // a key let go elsewhere is never heard of

document.addEventListener("click", (event) => {
  const control = event.target.closest("button, canvas");
  if (!control) return;
  // The second click of a double click was meant for what the first one was on.
  if (event.detail > 1 && clicked !== shown) return;
  clicked = shown;
  // A button that was clicked shouldn't keep the space bar for itself; one that was reached by Tab should.
  if (event.detail > 0 && control instanceof HTMLButtonElement) control.blur();
  if (control.dataset.answer) answer(control.dataset.answer);
  else if (control.matches("#clips *, #answers *, #choices *")) {
    if (!busy && shown && shown.drawn) face.click(control);
  } else if (control.id === "undo" || control.id === "undo-rest") undo();
  else if (control.id === "rename") askName();
  else if (control.id === "replay") pressed(player.replay());
  else if (control.id === "pause") pressed(player.toggle());
});

// What somebody looks at is given to nobody else.
function renew() {
  if (shown && !document.hidden) ask("api/reserve", { who, query_id: shown.id }).catch(() => {});
}

setInterval(renew, RENEWED);
document.addEventListener("visibilitychange", renew);

if (who) begin();
else askName();
