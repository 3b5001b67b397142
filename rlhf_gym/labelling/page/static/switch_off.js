// Switch-off: when one clip should have been stopped, marked on a bar of eight parts.
import { button, clip, element, key, told } from "./parts.js";

const PARTS = 8;

export class SwitchOff {
  task = "When should it have been stopped?";
  skipKeys = ["s"];

  constructor(query, { clips, answers, choices }, { send, player, paused }) {
    Object.assign(this, { send, player, paused });
    clips.append(clip("a", "The clip, looping"));
    this.parts = [...Array(PARTS).keys()].map((part) => button({ "data-after": part + 1 }));
    this.bar = element("div", { class: "parts", role: "group", "aria-label": "Parts of the clip" }, ...this.parts);
    this.now = element("span", { class: "now", "aria-hidden": "true" });
    this.bar.append(this.now);
    this.line = element("p", { class: "line", "aria-live": "polite" });
    answers.append(this.bar, this.line);
    this.run = button({ "data-after": PARTS, "aria-keyshortcuts": "L", "aria-pressed": false }, "Let it run ", key("L"));
    this.done = button({ class: "send", "data-do": "send", "aria-keyshortcuts": "Enter" }, "Send ", key("↵"));
    choices.append(
      button({ class: "stop", "data-do": "stop", "aria-keyshortcuts": "Space" }, "Stop here ", key("space")),
      this.run, this.done,
    );
  }

  begin() {
    this.after = 0; // nothing is chosen
    this.#draw();
  }

  watch() {
    this.now.style.left = `${100 * this.player.over}%`;
  }

  key(name) {
    if (name === " ") this.#stop();
    else if (name === "l") this.#choose(PARTS);
    else if (name === "ArrowLeft") this.#choose(Math.max(1, (this.after || this.#part) - 1));
    else if (name === "ArrowRight") this.#choose(Math.min(PARTS, (this.after || this.#part) + 1));
    else if (name === "Enter") this.#send();
    else return false;
    return true;
  }

  click(control) {
    if (control.dataset.after) this.#choose(Number(control.dataset.after));
    else if (control.dataset.do === "send") this.#send();
    else this.#stop(); // its button, or the clip itself
  }

  takeBack() {
    if (!this.after) return false;
    this.begin();
    this.paused(this.player.replay());
    return true;
  }

  said(text) {
    return text === `${PARTS}/${PARTS}` ? "It runs to its end." : `Stopped after ${text.replace("/", " of ")} parts.`;
  }

  // The part that is on: of the last one, which is nearly over, the one before; all of them once it is over.
  get #part() {
    const { over } = this.player;
    return over < 1 ? Math.min(PARTS - 1, Math.floor(PARTS * over) + 1) : PARTS;
  }

  #stop() {
    this.#choose(this.#part);
  }

  // Stopped, it stands still where it would end.
  #choose(after) {
    const ran = this.after === PARTS;
    this.after = after;
    if (after < PARTS) this.paused(this.player.hold(after / PARTS));
    else if (!ran) this.paused(this.player.replay());
    this.#draw();
  }

  #send() {
    if (this.after) this.send(`${this.after}/${PARTS}`);
    else this.line.textContent = "Say first when to stop it, or let it run.";
  }

  #draw() {
    this.parts.forEach((part, number) => {
      part.classList.toggle("lived", number < this.after);
      part.classList.toggle("last", number + 1 === this.after && this.after < PARTS);
      const name = number + 1 < PARTS ? `Stop after part ${number + 1} of ${PARTS}` : "Let it run to its end";
      part.setAttribute("aria-label", name);
      part.setAttribute("aria-pressed", number + 1 === this.after);
    });
    this.bar.classList.toggle("chosen", this.after > 0);
    this.run.setAttribute("aria-pressed", this.after === PARTS);
    this.done.disabled = !this.after;
    const asked = told("Press the space bar when you would stop it.", "Tap the clip when you would stop it.");
    const stopped = [`Stopped after ${this.after} of ${PARTS} parts`, ...told("; ← and → move it.", ".")];
    this.line.replaceChildren(...(!this.after ? asked : this.after < PARTS ? stopped : ["It runs to its end."]));
  }
}
