// Demonstration and correction: the person plays, by arrow keys, in an environment that the server steps.
import { Refused } from "./api.js";
import { button, clip, element, key, told } from "./parts.js";

const ARROWS = { ArrowLeft: "←", ArrowUp: "↑", ArrowRight: "→" };
const COMFORTABLE = 12; // steps a second that a hand keeps up with, to begin with
const TASKS = {
  demonstration: ["Show how it is done better.", "What it does now"],
  correction: ["Go on from where it starts, and do better.", "What it did"],
};

export class Playing {
  skipKeys = ["s"];

  constructor(query, { clips, answers, choices }, { send, insist, who }) {
    Object.assign(this, { send, insist, who });
    const [task, shown] = TASKS[query.kind];
    this.task = task;
    const names = query.options === 2 ? ["left", "right"] : [...Array(query.options).keys()].map((n) => String.fromCharCode(97 + n));
    this.live = clip("live", "Your own play", element("figcaption", { class: "quiet" }, "You"));
    this.canvas = this.live.querySelector("canvas");
    clips.append(this.live, ...names.map((name) => clip(name, `${shown}, looping`, element("figcaption", { class: "quiet" }, shown))));
    this.line = element("p", { class: "line" }); // not read out: it changes with every step
    this.arrows = element("div", { class: "arrows", role: "group", "aria-label": "Play" });
    answers.append(this.line, this.arrows);
    this.slower = button({ "data-do": "slower", "aria-keyshortcuts": "-", "aria-label": "Slower" }, "Slower ", key("−"));
    this.faster = button({ "data-do": "faster", "aria-keyshortcuts": "+", "aria-label": "Faster" }, "Faster ", key("+"));
    this.again = button({ "data-do": "again", "aria-keyshortcuts": "A" }, "Again ", key("A"));
    this.done = button({ class: "send", "data-do": "send", "aria-keyshortcuts": "Enter" }, "Send ", key("↵"));
    choices.append(this.slower, this.faster, this.again, this.done);
    for (const [event, holds] of [["pointerdown", true], ["pointerup", false], ["pointerleave", false], ["pointercancel", false]]) {
      this.arrows.addEventListener(event, (happened) => this.#touch(happened, holds), true);
    }
    this.held = new Set(); // keys
  }

  begin(query, drawn) {
    this.query = query.id;
    this.end();
    if (drawn) this.#again();
  }

  // Whatever comes next, this game goes no further.
  end() {
    this.turn = null;
    this.running = false;
    this.held?.clear();
  }

  key(name) {
    if (this.controls.some((control) => control.key === name)) this.#hold(name);
    else if (name === " ") this.running ? this.#pause() : this.#run();
    else if (name === "a") this.#again();
    else if (name === "-") this.#pace(1);
    else if (name === "+" || name === "=") this.#pace(-1);
    else if (name === "Enter") this.#send();
    else return false;
    return true;
  }

  // Of one key, or of all.
  keyUp(name) {
    if (name) this.held.delete(name);
    else this.held.clear();
  }

  click(control) {
    if (control.dataset.do === "again") this.#again();
    else if (control.dataset.do === "send") this.#send();
    else if (control.dataset.do === "slower") this.#pace(1);
    else if (control.dataset.do === "faster") this.#pace(-1);
    else if (control.id === "live") this.running ? this.#pause() : this.#run();
  }

  said() {
    return "What you played is sent.";
  }

  // Begin anew. A turn is one game of one query: what belongs to an earlier one is dropped wherever it comes.
  async #again() {
    this.end();
    const turn = (this.turn = {});
    [this.frame, this.controls] = [null, this.controls || []];
    this.#draw("It begins…");
    try {
      const begun = await this.insist("api/games", { who: this.who(), query_id: this.query });
      if (turn !== this.turn) return;
      [this.fps, this.idle] = [begun.frames_per_second, begun.idle];
      this.slowdown ??= Math.max(1, Math.round(this.fps / COMFORTABLE));
      this.#offer(begun.controls);
      await this.#show(begun.frame, turn);
    } catch (error) {
      this.#trouble(error, turn);
    }
  }

  async #run() {
    if (!this.frame || this.frame.over || this.running) return;
    const turn = this.turn;
    this.running = true;
    this.#draw();
    try {
      while (this.running && turn === this.turn && !this.frame.over) {
        const due = performance.now() + (1000 * this.slowdown) / this.fps;
        const { steps } = this.frame;
        const asked = { who: this.who(), query_id: this.query, at: steps, action: this.#action(steps) };
        await this.#show(await this.insist("api/games/step", asked), turn);
        await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
      }
    } catch (error) {
      this.#trouble(error, turn);
    }
    if (turn !== this.turn) return;
    this.running = false;
    this.#draw();
  }

  #pause() {
    this.running = false;
  }

  #action(steps) {
    const control = this.controls.findLast(({ key }) => this.held.has(key));
    return control ? control.action : this.idle[steps % this.idle.length];
  }

  #hold(name) {
    this.held.delete(name);
    this.held.add(name);
    this.#run();
  }

  #touch(event, holds) {
    const control = event.target.closest("button");
    if (!control) return;
    if (holds) this.#hold(control.dataset.key);
    else this.held.delete(control.dataset.key);
    this.#draw();
  }

  #pace(by) {
    if (!this.slowdown) return;
    this.slowdown = Math.min(16, Math.max(1, by > 0 ? this.slowdown + 1 : this.slowdown - 1));
    this.#draw();
  }

  #send() {
    if (this.frame && this.frame.enough) {
      this.running = false;
      this.send("played", "api/games/send");
    } else this.#draw();
  }

  #trouble(error, turn) {
    if (turn !== this.turn) return;
    this.running = false;
    if (!(error instanceof Refused)) throw error;
    if (/just now/.test(error.message)) this.#draw("Others are playing, as many as this page can take: try again with A in a minute, or skip it.");
    else this.#draw(/begin again/.test(error.message) ? "That game is gone: A begins another." : `${error.message}. You can only skip it.`);
  }

  async #show(frame, turn) {
    const bytes = Uint8Array.from(atob(frame.picture), (letter) => letter.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    if (turn === this.turn) {
      if (this.canvas.width !== picture.width) [this.canvas.width, this.canvas.height] = [picture.width, picture.height];
      this.canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
      this.frame = frame;
      this.canvas.dataset.steps = frame.steps;
      this.#draw();
    }
    picture.close();
  }

  // A button for each key, as fingers have none.
  #offer(controls) {
    if (JSON.stringify(controls) === JSON.stringify(this.controls)) return;
    this.controls = controls;
    this.arrows.replaceChildren(...controls.map((control) =>
      button({ "data-key": control.key, "aria-keyshortcuts": control.key }, key(ARROWS[control.key]), control.name)));
  }

  #draw(text) {
    const { frame } = this;
    this.done.disabled = !frame || !frame.enough;
    this.faster.disabled = !this.slowdown || this.slowdown <= 1;
    this.slower.disabled = !this.slowdown || this.slowdown >= 16;
    this.live.classList.toggle("running", Boolean(this.running));
    if (text || !frame) return this.line.replaceChildren(text || "");
    const pace = this.slowdown > 1 ? `, ${this.slowdown} times slower than real` : "";
    const wanted = frame.steps >= frame.length ? `${frame.steps} steps; the last ${frame.length} are sent` : `${frame.steps} of ${frame.length} steps`;
    if (!frame.steps) this.line.replaceChildren(...told(`Hold an arrow key to play; it starts at once${pace}.`, `Hold a button to play${pace}.`));
    else if (frame.over && frame.steps < frame.length) this.line.replaceChildren(`It ended after ${frame.steps} of ${frame.length} steps: send it, or play again.`);
    else if (frame.over) this.line.replaceChildren(`All ${frame.steps} steps are played: send them, or play again.`);
    else this.line.replaceChildren(`${wanted}${pace}.${this.running ? "" : " It stands still."}`);
    return undefined;
  }
}
