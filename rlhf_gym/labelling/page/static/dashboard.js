// Figures, people and the learning curve; looked up anew every few seconds.
import { ask } from "./api.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const percent = ({ share }) => (share === null ? "–" : `${Math.round(100 * share)} %`);
const ofSome = ({ hits, of }) => (of === 0 ? "–" : `${hits} of ${of}`);
const short = (value) => (Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

function figures(progress, quality) {
  const seconds = quality.people.filter((person) => person.seconds);
  const told = [
    ["labels", progress.labels === null ? progress.answered : `${progress.answered} of ${progress.labels}`],
    ["waiting", progress.waiting],
    ["people", quality.people.length],
    ["seconds an answer", seconds.length ? median(seconds).toFixed(1) : "–"],
    ["agreement (α)", quality.alpha === null ? "–" : quality.alpha.toFixed(2)],
    ...quality.ordinal.map(({ kind, alpha }) => [`agreement on ${kind} (α)`, alpha === null ? "–" : alpha.toFixed(2)]),
    ["contradictions", ofSome(quality.intransitive)],
  ];
  $("figures").replaceChildren(...told.map(([name, value]) => {
    const pair = document.createElement("div");
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    [dt.textContent, dd.textContent] = [name, value];
    pair.append(dt, dd);
    return pair;
  }));
}

// Of the people's medians, each counted as often as it has answers.
function median(people) {
  const sorted = [...people].sort((one, other) => one.seconds[1] - other.seconds[1]);
  let left = sorted.reduce((sum, person) => sum + person.answers, 0) / 2;
  return sorted.find((person) => (left -= person.answers) <= 0).seconds[1];
}

function people(quality) {
  $("people").replaceChildren(...quality.people.map((person) => {
    const row = document.createElement("tr");
    const { who, answers, seconds, left, ties, skips, repeated, mirrored, checks } = person;
    const cells = [who, answers, seconds ? seconds[1].toFixed(1) : "–", percent(left), percent(ties), percent(skips),
      ofSome(repeated), ofSome(mirrored), ofSome(checks)];
    for (const cell of cells) row.insertCell().textContent = cell;
    return row;
  }));
}

// Shown where several runs share the store; which of them the people's figures are about stays as it was chosen.
function runs(rows) {
  $("runs-section").hidden = rows.length < 2;
  $("curve-section").hidden = rows.length > 1; // a curve is one run's
  $("runs").replaceChildren(...rows.map(({ name, env_id, answered, labels, waiting }) => {
    const row = document.createElement("tr");
    for (const cell of [name, env_id, answered, labels === null ? "–" : labels, waiting]) row.insertCell().textContent = cell;
    return row;
  }));
  for (const { name } of rows.slice($("run").length)) $("run").add(new Option(name, name)); // they only become more
}

// True return over labels, as a line with a mark for each round.
function curve(rows) {
  const points = rows.filter((row) => row.true_return !== null).map((row) => [row.env_steps, row.true_return]);
  if (points.length === 0) {
    const none = document.createElement("p");
    none.className = "quiet";
    none.textContent = "It begins with the first finished round.";
    return none;
  }
  const width = Math.max(280, $("curve").clientWidth); // letters stay as large as they are elsewhere
  const [height, left, right, top, bottom] = [300, 64, 24, 40, 52];
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const [low, high] = [Math.min(0, ...ys), Math.max(...ys, Math.min(0, ...ys) + 1e-9)];
  const farthest = Math.max(...xs, 1);
  const x = (value) => left + (width - left - right) * (value / farthest);
  const y = (value) => height - bottom - (height - top - bottom) * ((value - low) / (high - low));
  const last = rows[rows.length - 1];
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.append(element("title", {}, `True return by environment steps: ${short(ys[ys.length - 1])} after ${last.env_steps} steps and ${last.labels} labels`));
  for (const share of [0, 0.5, 1]) {
    const at = low + share * (high - low);
    svg.append(element("line", { class: "grid", x1: left, x2: width - right, y1: y(at), y2: y(at) }));
    svg.append(element("text", { x: left - 10, y: y(at) + 4, "text-anchor": "end" }, short(at)));
    svg.append(element("text", { x: x(share * farthest), y: height - bottom + 22, "text-anchor": share === 1 ? "end" : share ? "middle" : "start" },
      Math.round(share * farthest).toLocaleString("en")));
  }
  svg.append(element("text", { x: left, y: 20 }, "mean true return of the episodes of a round"));
  svg.append(element("text", { x: width - right, y: height - 8, "text-anchor": "end" }, "environment steps"));
  svg.append(element("polyline", { class: "true", points: points.map(([a, b]) => `${x(a)},${y(b)}`).join(" ") }));
  for (const [a, b] of points) svg.append(element("circle", { class: "dot", cx: x(a), cy: y(b), r: 4 }));
  return svg;
}

let rounds = [];
addEventListener("resize", () => $("curve").replaceChildren(curve(rounds)));

let again;
$("run").addEventListener("change", () => look());

async function look() {
  clearTimeout(again);
  try {
    const chosen = $("run").value && `?run=${encodeURIComponent($("run").value)}`;
    const [progress, quality, rows, all] = await Promise.all([
      ask("api/progress?who=dashboard"), ask(`api/quality${chosen}`), ask("api/curve"), ask("api/runs"),
    ]);
    runs(all);
    const one = all.length > 1 && all.find(({ name }) => name === $("run").value);
    figures(one || progress, quality);
    people(quality);
    rounds = rows;
    $("curve").replaceChildren(curve(rounds));
    $("notice").hidden = true;
  } catch (error) {
    $("notice").hidden = false;
    $("notice").textContent = error.status ? error.message : "The connection is lost. Trying again…";
  }
  again = setTimeout(look, 5000);
}

look();
