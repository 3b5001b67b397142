// Ranking: clips are put in order, the best first, by number keys, by clicks, or by dragging them; the order so far
// stands on the clips.
import { Dragging } from "./dragging.js";
import { button, clip, element, key, told } from "./parts.js";

const ENDINGS = { one: "st", two: "nd", few: "rd", other: "th" };
const plural = new Intl.PluralRules("en", { type: "ordinal" });
const ordinal = (number) => `${number}${ENDINGS[plural.select(number)]}`;

export class Ranking {
  task = "Put the clips in order, the best first.";
  skipKeys = [" ", "s"];

  constructor(query, { clips, answers, choices }, { send }) {
    this.send = send;
    this.options = [...Array(query.options).keys()];
    this.places = this.options.map(() => element("span", { class: "place", "aria-hidden": "true" }));
    this.buttons = this.options.map((option) =>
      button({ class: "choice", "data-place": option, "aria-keyshortcuts": option + 1 }));
    const figures = this.options.map((option) => {
      const id = String.fromCharCode(97 + option);
      return clip(id, `Clip ${option + 1}, looping`, this.places[option], this.buttons[option]);
    });
    clips.append(...figures);
    this.dragging = new Dragging(figures, {
      row: () => this.#row, ready: () => this.drawn, moved: (row, option) => this.#moved(row, option),
    });
    this.line = element("p", { class: "line", "aria-live": "polite" });
    answers.append(this.line);
    this.tie = button({ "data-do": "tie", "aria-keyshortcuts": "=" }, "Same as the one before ", key("="));
    this.done = button({ class: "send", "data-do": "send", "aria-keyshortcuts": "Enter" }, "Send ", key("↵"));
    choices.append(this.tie, this.done);
  }

  begin(query, drawn) {
    this.end();
    this.groups = [];
    this.drawn = drawn;
    this.dragged = false;
    this.#draw();
  }

  // What is held in the hand belongs to a query that is over.
  end() {
    this.dragging.end();
    this.drawn = false;
  }

  key(name) {
    if (this.options.some((option) => name === String(option + 1))) this.#place(Number(name) - 1);
    else if (name === "=") this.#tie();
    else if (name === "Enter") this.#send();
    else return false;
    return true;
  }

  click(control) {
    if (control.dataset.do === "tie") this.#tie();
    else if (control.dataset.do === "send") this.#send();
    else this.#place(Number(control.dataset.place ?? control.id.charCodeAt(0) - 97));
  }

  // Undo, while something is placed, takes the last one out again.
  takeBack() {
    if (!this.groups.length) return false;
    this.#place(this.groups.at(-1).at(-1));
    return true;
  }

  said() {
    return "The order is sent.";
  }

  get #left() {
    return this.options.filter((option) => !this.groups.flat().includes(option));
  }

  // Last, or out again if it has a place.
  #place(option) {
    if (this.#left.includes(option)) this.groups.push([option]);
    else this.groups = this.groups.map((group) => group.filter((one) => one !== option)).filter((group) => group.length);
    this.#draw();
  }

  // Those placed, then the others as they stand.
  get #row() {
    return [...this.groups.flat(), ...this.#left];
  }

  // Once a clip is dragged, the whole row is the order, the best first; dropped between two that are the same, the clip
  // is the same as well.
  #moved(row, option) {
    const same = (one, other) => this.groups.some((group) => group.includes(one) && group.includes(other));
    const groups = [];
    for (const one of row.filter((other) => other !== option)) {
      if (groups.length && same(groups.at(-1)[0], one)) groups.at(-1).push(one);
      else groups.push([one]);
    }
    const at = row.indexOf(option);
    const before = groups.findIndex((group) => group.includes(row[at - 1]));
    const between = before >= 0 && groups[before].includes(row[at + 1]);
    if (between) groups[before].splice(groups[before].indexOf(row[at - 1]) + 1, 0, option);
    else groups.splice(before + 1, 0, [option]);
    this.groups = groups;
    this.dragged = true;
    this.#draw();
  }

  // The one placed last shares the place before it, or no longer does.
  #tie() {
    const last = this.groups.pop();
    if (!last) return;
    if (last.length > 1) this.groups.push(last.slice(0, -1), last.slice(-1));
    else if (this.groups.length) this.groups.at(-1).push(...last);
    else this.groups.push(last);
    this.#draw();
  }

  // The only one left is the last.
  #send() {
    const groups = this.#left.length === 1 ? [...this.groups, this.#left] : this.groups;
    if (groups.flat().length < this.options.length) {
      this.line.textContent = `${this.#left.length} clips have no place yet. ${this.#order()}`;
      return;
    }
    const sorted = groups.map((group) => [...group].sort((one, other) => one - other));
    this.send(JSON.stringify(sorted.map((group) => (group.length === 1 ? group[0] : group))));
  }

  #order() {
    const groups = this.groups.map((group) => group.map((option) => option + 1).join(" = "));
    return groups.length ? `Best first: ${groups.join(", then ")}.` : "";
  }

  #draw() {
    const names = this.options.map(() => "");
    let before = 0;
    for (const group of this.groups) {
      for (const option of group) names[option] = ordinal(before + 1) + (group.length > 1 ? " =" : "");
      before += group.length;
    }
    this.options.forEach((option) => {
      this.places[option].textContent = names[option];
      this.places[option].hidden = !names[option];
      const name = `Clip ${option + 1}${names[option] && `: ${names[option]}`}`;
      const touch = element("span", {}, element("span", { class: "word" }, "Clip "), `${option + 1}`);
      this.buttons[option].replaceChildren(...told(name, touch));
      this.buttons[option].setAttribute("aria-label", name);
      this.buttons[option].setAttribute("aria-pressed", Boolean(names[option]));
      this.buttons[option].parentElement.classList.toggle("placed", Boolean(names[option]));
    });
    const first = [
      `Press 1 to ${this.options.length}, or click, in your order: the best first. Or drag the clips.`,
      "Tap the best clip first, or drag the clips into order.",
    ];
    const last = this.#left.length === 1 ? ` ${this.#left[0] + 1} comes last.` : "";
    this.line.replaceChildren(...(this.groups.length ? [this.#order() + last] : told(...first)));
    this.dragging.arrange(this.dragged ? this.#row : this.options);
    this.tie.disabled = before < 2;
    this.done.disabled = this.#left.length > 1;
  }
}
