// All options of a query, drawn from their sheets by one clock: they can't fall out of step.

const MOST_BYTES = 128 * 2 ** 20; // of decoded pictures; above it they are loaded half as wide

export class Player {
  constructor() {
    this.clip = null;
  }

  // Everything that playing needs; the pictures are decoded here, not when they are first wanted.
  async load(id, ask) {
    const address = (what) => `${what}?query_id=${encodeURIComponent(id)}`;
    const clip = await ask(address("api/clips")); // relative: what a proxy has before it isn't known here
    const rows = (option) => Math.ceil((Math.max(...option.order) + 1) / option.columns);
    const pixels = clip.options.reduce((sum, one) => sum + one.columns * rows(one) * clip.width * clip.height, 0);
    const scale = 4 * pixels > MOST_BYTES ? 0.5 : 1; // a picture's sides are multiples of eight
    const options = await Promise.all(clip.options.map(async (option) => {
      const [resizeWidth, resizeHeight] = [option.columns * clip.width * scale, rows(option) * clip.height * scale];
      const size = scale === 1 ? {} : { resizeWidth, resizeHeight, resizeQuality: "medium" };
      return { ...option, sheet: await createImageBitmap(await ask(address(`api/clips/${option.name}`)), size) };
    }));
    const close = () => options.forEach(({ sheet }) => sheet.close());
    const [width, height] = [clip.width * scale, clip.height * scale];
    return { ...clip, width, height, options, ticks: options[0].order.length, close };
  }

  // One canvas for each option; `watch` is called with each tick that comes in view.
  play(clip, canvases, { loop, watch = () => {} }) {
    Object.assign(this, { clip, canvases, loop, watch });
    for (const canvas of canvases) {
      canvas.width = clip.width;
      canvas.height = clip.height;
    }
    this.replay();
  }

  // Share of the first option's life that is over now, from 0 to 1.
  get over() {
    return Math.min(1, this.shown / Math.max(1, this.clip.options[0].lived));
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

  // Stand still where this share of the first option's life is over. Returns true, as it does.
  hold(share) {
    this.paused = true;
    cancelAnimationFrame(this.waiting);
    this.#draw(Math.round(share * this.clip.options[0].lived));
    return true;
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
    this.clip.options.forEach(({ sheet, columns, order }, number) => {
      const canvas = this.canvases[number];
      const [x, y] = [(order[tick] % columns) * width, Math.floor(order[tick] / columns) * height];
      canvas.getContext("2d", { alpha: false }).drawImage(sheet, x, y, width, height, 0, 0, width, height);
      canvas.dataset.tick = tick;
    });
    this.shown = tick;
    this.watch(tick);
  }
}
