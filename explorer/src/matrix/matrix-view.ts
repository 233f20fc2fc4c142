import type { Engine } from '../engine/engine.ts';
import { TILE_SIDE, type Tile } from '../engine/tile.ts';
import { channels, colour } from '../style/colours.ts';

/** Space for the token numbers, in CSS pixels. */
const MARGIN = 52;
const MOST_ZOOM = 48;
const MOST_TILES = 300;

interface Place {
  readonly query: number;
  readonly key: number;
}

/** Draws the pyramid's tiles on a canvas, with token numbers and the marked cell. Positions are tokens; sizes CSS pixels. */
export class MatrixView {
  readonly #canvas: HTMLCanvasElement;
  readonly #engine: Engine;
  readonly #tiles = new Map<string, HTMLCanvasElement | undefined>();
  #generation = 0;
  #tokens = 0;
  #head = 0;
  #left = 0;
  #top = 0;
  /** Pixels of a token. */
  #scale = 1;
  #marked: Place | undefined;
  #frame = 0;

  constructor(canvas: HTMLCanvasElement, engine: Engine) {
    this.#canvas = canvas;
    this.#engine = engine;
  }

  /** Shows another mask: where the view is, or whole where the length is another one. */
  show(tokens: number, head: number): void {
    const isOther = tokens !== this.#tokens;
    this.#tokens = tokens;
    this.#head = head;
    this.repaint();
    if (isOther) {
      this.#marked = undefined;
      this.fit();
    }
  }

  /** Makes the tiles again, for another theme or mask. */
  repaint(): void {
    this.#generation++;
    this.#tiles.clear();
    this.draw();
  }

  fit(): void {
    this.#scale = this.#leastScale();
    this.#left = 0;
    this.#top = 0;
    this.draw();
  }

  /** Zooms by a factor about a point of the canvas, by default its middle. */
  zoom(factor: number, x = (this.#width() + MARGIN) / 2, y = (this.#height() + MARGIN) / 2): void {
    const scale = Math.min(MOST_ZOOM, Math.max(this.#leastScale(), this.#scale * factor));
    this.#left += (x - MARGIN) / this.#scale - (x - MARGIN) / scale;
    this.#top += (y - MARGIN) / this.#scale - (y - MARGIN) / scale;
    this.#scale = scale;
    this.draw();
  }

  pan(x: number, y: number): void {
    this.#left -= x / this.#scale;
    this.#top -= y / this.#scale;
    this.draw();
  }

  placeAt(x: number, y: number): Place | undefined {
    const key = Math.floor(this.#left + (x - MARGIN) / this.#scale);
    const query = Math.floor(this.#top + (y - MARGIN) / this.#scale);
    const isInside = x >= MARGIN && y >= MARGIN && key < this.#tokens && query < this.#tokens;
    return isInside ? { query, key } : undefined;
  }

  mark(place: Place | undefined): void {
    this.#marked = place;
    this.draw();
  }

  /** Moves the view no more than it takes to see a cell. */
  reveal({ query, key }: Place): void {
    const [across, down] = [(this.#width() - MARGIN) / this.#scale, (this.#height() - MARGIN) / this.#scale];
    this.#left = Math.min(key, Math.max(key + 1 - across, this.#left));
    this.#top = Math.min(query, Math.max(query + 1 - down, this.#top));
    this.draw();
  }

  draw(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #width(): number {
    return this.#canvas.clientWidth;
  }

  #height(): number {
    return this.#canvas.clientHeight;
  }

  #leastScale(): number {
    return Math.min(MOST_ZOOM, (Math.min(this.#width(), this.#height()) - MARGIN - 1) / Math.max(1, this.#tokens));
  }

  #paint(): void {
    this.#frame = 0;
    const context = this.#canvas.getContext('2d');
    if (context === null || this.#tokens === 0) return;
    const ratio = devicePixelRatio;
    const [width, height] = [this.#width(), this.#height()];
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== across) this.#canvas.width = across;
    if (this.#canvas.height !== down) this.#canvas.height = down;
    this.#hold((width - MARGIN) / this.#scale, (height - MARGIN) / this.#scale);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(MARGIN, MARGIN, width - MARGIN, height - MARGIN);
    context.clip();
    const side = this.#tokens * this.#scale;
    context.fillStyle = colour('--none');
    context.fillRect(this.#x(0), this.#y(0), side, side);
    const missing = this.#paintTiles(context, width, height);
    this.#paintMark(context, width, height);
    context.restore();
    this.#paintNumbers(context, width, height);
    this.#canvas.dataset.view = JSON.stringify({ left: this.#x(0), top: this.#y(0), scale: this.#scale });
    this.#canvas.dataset.missing = String(missing);
  }

  /** Keeps the picture in sight. */
  #hold(across: number, down: number): void {
    this.#left = Math.max(0, Math.min(this.#left, this.#tokens - across));
    this.#top = Math.max(0, Math.min(this.#top, this.#tokens - down));
  }

  #x(key: number): number {
    return MARGIN + (key - this.#left) * this.#scale;
  }

  #y(query: number): number {
    return MARGIN + (query - this.#top) * this.#scale;
  }

  /** Draws what there is of the level that fits the zoom, and asks for the rest. Returns the number of tiles that are to come. */
  #paintTiles(context: CanvasRenderingContext2D, width: number, height: number): number {
    const level = Math.max(0, Math.floor(-Math.log2(this.#scale * devicePixelRatio)));
    const span = TILE_SIDE * 2 ** level;
    const last = Math.ceil(this.#tokens / span) - 1;
    const [right, bottom] = [this.#left + (width - MARGIN) / this.#scale, this.#top + (height - MARGIN) / this.#scale];
    let missing = 0;
    context.imageSmoothingEnabled = false;
    for (let row = Math.floor(this.#top / span); row <= Math.min(last, Math.floor(bottom / span)); row++) {
      for (let column = Math.floor(this.#left / span); column <= Math.min(last, Math.floor(right / span)); column++) {
        const name = `${level}/${column}/${row}`;
        const tile = this.#tiles.get(name);
        const size = span * this.#scale;
        if (tile !== undefined) context.drawImage(tile, this.#x(column * span), this.#y(row * span), size, size);
        else {
          missing++;
          if (!this.#tiles.has(name)) this.#ask(name, level, column, row);
        }
      }
    }
    return missing;
  }

  #ask(name: string, level: number, column: number, row: number): void {
    const generation = this.#generation;
    if (this.#tiles.size > MOST_TILES) this.#tiles.clear();
    this.#tiles.set(name, undefined);
    this.#engine.ask({ kind: 'tile', head: this.#head, level, column, row }).then(
      ({ tile }) => {
        if (generation !== this.#generation) return;
        this.#tiles.set(name, this.#picture(tile));
        this.draw();
      },
      () => this.#tiles.delete(name),
    );
  }

  #picture({ share, isPartial }: Tile): HTMLCanvasElement {
    const picture = document.createElement('canvas');
    picture.width = TILE_SIDE;
    picture.height = TILE_SIDE;
    const context = picture.getContext('2d');
    if (context === null) return picture;
    const image = context.createImageData(TILE_SIDE, TILE_SIDE);
    const colours = [channels('--full'), channels('--partial')];
    for (let place = 0; place < share.length; place++) {
      const part = share[place];
      if (part === 0) continue;
      image.data.set(colours[isPartial[place]], place * 4);
      // A single pair of a large cell must still be seen.
      image.data[place * 4 + 3] = Math.round(90 + 165 * Math.sqrt(part / 255));
    }
    context.putImageData(image, 0, 0);
    return picture;
  }

  #paintMark(context: CanvasRenderingContext2D, width: number, height: number): void {
    if (this.#marked === undefined) return;
    const { query, key } = this.#marked;
    const size = Math.max(1, this.#scale);
    context.globalAlpha = 0.22;
    context.fillStyle = colour('--ink');
    context.fillRect(MARGIN, this.#y(query), width, size);
    context.fillRect(this.#x(key), MARGIN, size, height);
    context.globalAlpha = 1;
    context.lineWidth = 2;
    context.strokeStyle = colour('--ink');
    const box = Math.max(8, size);
    const shift = (box - size) / 2;
    context.strokeRect(this.#x(key) - shift, this.#y(query) - shift, box, box);
  }

  #paintNumbers(context: CanvasRenderingContext2D, width: number, height: number): void {
    const step = stepFor(64 / this.#scale);
    context.font = '11px ui-monospace, monospace';
    context.fillStyle = colour('--quiet');
    context.textBaseline = 'middle';
    // The middle of a cell where cells are wide, else its beginning.
    const middle = Math.min(this.#scale / 2, 24);
    for (let k = Math.ceil(this.#left / step) * step; k < this.#tokens && this.#x(k) < width - 20; k += step) {
      context.textAlign = 'center';
      context.fillText(short(k), Math.max(this.#x(k) + middle, MARGIN + 4), MARGIN - 12);
    }
    for (let q = Math.ceil(this.#top / step) * step; q < this.#tokens && this.#y(q) < height - 6; q += step) {
      context.textAlign = 'right';
      context.fillText(short(q), MARGIN - 8, Math.max(this.#y(q) + middle, MARGIN + 5));
    }
    context.textAlign = 'left';
    context.fillText('keys', MARGIN, 12);
    context.fillText('queries', 0, MARGIN - 12);
  }
}

/** The least power of two that is at least `tokens`. */
function stepFor(tokens: number): number {
  return 2 ** Math.max(0, Math.ceil(Math.log2(tokens)));
}

function short(token: number): string {
  return token >= 10_000 && token % 1024 === 0 ? `${token / 1024}Ki` : String(token);
}
