// Dragging: figures of a grid change places under a mouse or a finger; a shorter way than eight pixels is a click.
const FAR = 8;

// The elements stay where they are in the document, as clips are drawn in that order; `style.order` moves them.
export class Dragging {
  constructor(figures, { row, ready, moved }) {
    Object.assign(this, { figures, row, ready, moved });
    figures.forEach((figure, option) =>
      figure.addEventListener("pointerdown", (event) => this.#hold(option, event)));
  }

  // Numbers of the figures from the first place to the last.
  arrange(row) {
    row.forEach((option, place) => { this.figures[option].style.order = place; });
  }

  // Let go, and leave everything as it was.
  end() {
    this.listening?.abort();
    if (!this.drag) return;
    this.figures[this.drag.option].classList.remove("dragged");
    this.figures[this.drag.option].style.transform = "";
    this.arrange(this.drag.before);
    this.drag = null;
  }

  #hold(option, event) {
    if (!event.isPrimary || event.button !== 0 || !this.ready()) return;
    this.end();
    this.listening = new AbortController();
    const listen = (name, heard) => addEventListener(name, heard, { signal: this.listening.signal });
    const from = { x: event.clientX, y: event.clientY };
    listen("pointermove", (moved) => {
      if (moved.pointerId === event.pointerId) this.#move(option, moved.clientX - from.x, moved.clientY - from.y);
    });
    listen("pointerup", (up) => { if (up.pointerId === event.pointerId) this.#drop(); });
    listen("pointercancel", () => this.end());
    listen("blur", () => this.end());
    listen("keydown", (pressed) => { if (pressed.key === "Escape") this.end(); });
  }

  #move(option, x, y) {
    if (!this.drag) {
      if (Math.hypot(x, y) < FAR) return;
      this.#begin(option);
    }
    const { start, places, row } = this.drag;
    const [middleX, middleY] = [start.x + x, start.y + y];
    const far = places.map((place) => Math.hypot(place.x - middleX, place.y - middleY));
    const at = far.indexOf(Math.min(...far));
    this.drag.row = row.filter((one) => one !== option).toSpliced(at, 0, option);
    this.arrange(this.drag.row);
    this.figures[option].style.transform = `translate(${middleX - places[at].x}px, ${middleY - places[at].y}px)`;
  }

  #begin(option) {
    const before = this.figures.map((_, one) => one).sort((one, other) => this.#place(one) - this.#place(other));
    const start = this.#middle(option);
    const row = this.row();
    this.arrange(row);
    this.drag = { option, before, begun: row, row, start, places: row.map((one) => this.#middle(one)) };
    this.figures[option].classList.add("dragged");
  }

  #drop() {
    const drag = this.drag;
    this.end();
    if (!drag) return;
    const hush = (event) => { event.stopPropagation(); event.preventDefault(); };
    addEventListener("click", hush, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", hush, { capture: true }));
    if (drag.row.join() !== drag.begun.join()) this.moved(drag.row, drag.option);
  }

  #place(option) {
    return Number(this.figures[option].style.order);
  }

  #middle(option) {
    const box = this.figures[option].getBoundingClientRect();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  }
}
