// Comparison: one key or click says which of two clips does better.
import { button, clip, key, told } from "./parts.js";

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", "=": "tie" };
const SAID = { left: "Left is better.", right: "Right is better.", tie: "About equal." };

export class Comparison {
  task = "Which clip does better?";
  skipKeys = [" ", "s"];

  constructor(query, { clips, choices }, { send }) {
    this.send = send;
    const choose = (side, shortcut, ...inside) =>
      button({ class: "choice", "data-answer": side, "aria-keyshortcuts": shortcut }, ...inside);
    clips.append(
      clip("left", "Left clip, looping", choose("left", "ArrowLeft", key("←"), ...told("Left", "Upper"))),
      clip("right", "Right clip, looping", choose("right", "ArrowRight", ...told("Right", "Lower"), key("→"))),
    );
    choices.append(button({ "data-answer": "tie", "aria-keyshortcuts": "ArrowDown =" }, "About equal ", key("↓")));
  }

  begin() {}

  key(name) {
    if (!(name in KEYS)) return false;
    this.send(KEYS[name]);
    return true;
  }

  click(control) {
    this.send(control.id); // the clip itself
  }

  said(text) {
    return SAID[text];
  }
}
