// Rating: how good one clip is by itself, said with one key or click.
import { button, clip, element, key } from "./parts.js";

export class Rating {
  task = "How good is this?";
  skipKeys = [" ", "s"];

  constructor(query, { clips, answers }, { send }) {
    this.send = send;
    this.levels = query.levels;
    const words = this.levels.some((word, number) => word !== String(number + 1));
    clips.append(clip("a", "The clip, looping"));
    const looks = { class: "levels", "data-words": words, "data-many": this.levels.length > 5 };
    const row = element("div", { ...looks, role: "group", "aria-label": "Worst to best" });
    this.levels.forEach((word, number) => {
      const inside = words ? [key(number + 1), " ", element("span", {}, word)] : [word];
      const attributes = { "data-answer": this.#text(number + 1), "aria-keyshortcuts": number + 1 };
      row.append(button({ class: "choice", ...attributes }, ...inside));
    });
    answers.append(row);
    if (!words) answers.append(element("p", { class: "ends quiet" }, element("span", {}, "worst"), element("span", {}, "best")));
  }

  begin() {}

  key(name) {
    const level = /^[1-9]$/.test(name) ? Number(name) : 0;
    if (level < 1 || level > this.levels.length) return false;
    this.send(this.#text(level));
    return true;
  }

  click() {} // on the clip itself, which is no answer

  said(text) {
    return `Rated ${this.levels[parseInt(text, 10) - 1]}.`;
  }

  #text(level) {
    return `${level}/${this.levels.length}`;
  }
}
