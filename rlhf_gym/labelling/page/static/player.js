// Both sides of a query, drawn from their sheets by one clock: they can't fall out of step.

export class Player {
  constructor(left, right) {
    this.canvases = { left, right };
    this.clip = null;
  }

  // Everything that playing needs; the pictures are decoded here, not when they are first wanted.
  async load(id, ask) {
    const clip = await ask(`/api/clips/${encodeURIComponent(id)}`);
    const sides = await Promise.all(["left", "right"].map(async (side) => {
      return [side, { ...clip[side], sheet: await createImageBitmap(await ask(clip[side].url)) }];
    }));
    const sheets = Object.fromEntries(sides);
    const close = () => sides.forEach(([, { sheet }]) => sheet.close());
    return { ...clip, ...sheets, ticks: clip.left.order.length, close };
  }

  play(clip, { loop }) {
    this.clip = clip;
    this.loop = loop;
    for (const canvas of Object.values(this.canvases)) {
      canvas.width = clip.width;
      canvas.height = clip.height;
    }
    this.replay();
  }

  // From the start; where motion is unwelcome, once. Returns whether it stands still.
  replay() {
    this.began = performance.now();
    this.paused = false;
    this.shown = -1;
    this.#tick(this.began);
    return false;
  }

  // Returns whether it stands still now.
  toggle() {
    if (!this.clip) return false;
    if (!this.loop && !this.paused && this.shown === this.clip.ticks - 1) return this.replay();
    this.paused = !this.paused;
    if (!this.paused) this.began = performance.now() - this.shown * this.clip.milliseconds;
    this.#tick(performance.now());
    return this.paused;
  }

  stop() {
    this.clip = null;
    cancelAnimationFrame(this.waiting);
  }

  #tick(now) {
    cancelAnimationFrame(this.waiting);
    if (!this.clip || this.paused) return;
    const passed = Math.max(0, Math.floor((now - this.began) / this.clip.milliseconds));
    const tick = this.loop ? passed % this.clip.ticks : Math.min(passed, this.clip.ticks - 1);
    if (tick !== this.shown) this.#draw(tick);
    this.waiting = requestAnimationFrame((then) => this.#tick(then));
  }

  #draw(tick) {
    const { width, height } = this.clip;
    for (const [side, canvas] of Object.entries(this.canvases)) {
      const { sheet, columns, order } = this.clip[side];
      const [x, y] = [(order[tick] % columns) * width, Math.floor(order[tick] / columns) * height];
      canvas.getContext("2d", { alpha: false }).drawImage(sheet, x, y, width, height, 0, 0, width, height);
      canvas.dataset.tick = tick;
    }
    this.shown = tick;
  }
}
