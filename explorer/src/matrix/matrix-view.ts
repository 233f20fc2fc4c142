import type { Engine } from '../engine/engine.ts';
import { TILE_SIDE } from '../engine/tile.ts';
import { colour } from '../style/colours.ts';
import { labelMargin, paintAxes, paintBlockLines, paintMark, type ViewPort } from './matrix-marks.ts';
import { type CellColours, cellColours, colourOfAll, tilePicture } from './tile-picture.ts';

const MOST_ZOOM = 56;
const MOST_TILES = 400;

/** A tile as it is drawn: a picture, or the one colour that all of it has. */
type Shown = HTMLCanvasElement | string;

export interface Place {
  readonly query: number;
  readonly key: number;
}

/** Where the view stands: the tokens at its corner, and pixels for a token. */
export interface ViewState {
  readonly left: number;
  readonly top: number;
  readonly scale: number;
}

/** What is drawn beside the cells. */
export interface ViewOptions {
  readonly head: number;
  readonly showsBlocks: boolean;
  /** Names of the first tokens, shown beside cells that are large enough; others have their numbers. */
  readonly words: readonly string[];
}

/** Draws the pyramid's tiles on a canvas, with token labels and the marked cell. Positions are tokens; sizes CSS pixels. */
export class MatrixView {
  readonly #canvas: HTMLCanvasElement;
  readonly #engine: Engine;
  readonly #moved: (state: ViewState) => void;
  #tiles = new Map<string, Shown | undefined>();
  /** Those of the mask before, shown until their successors have come. */
  #stale = new Map<string, Shown | undefined>();
  #generation = 0;
  #tokens = 0;
  #options: ViewOptions = { head: 0, showsBlocks: true, words: [] };
  #colours: CellColours | undefined;
  #left = 0;
  #top = 0;
  /** Pixels of a token. */
  #scale = 1;
  #marked: Place | undefined;
  #isLocked = false;
  #frame = 0;
  /** Whether the whole is to be seen, whatever the size of the canvas. */
  #isWhole = true;

  /** `moved` is told of every pan and zoom, after it was drawn. */
  constructor(canvas: HTMLCanvasElement, engine: Engine, moved: (state: ViewState) => void = () => {}) {
    this.#canvas = canvas;
    this.#engine = engine;
    this.#moved = moved;
  }

  /** Shows another mask: where the view is, or whole where the length is another one. */
  show(tokens: number, options: ViewOptions): void {
    const isOther = tokens !== this.#tokens;
    this.#tokens = tokens;
    this.#options = options;
    this.#stale = isOther ? new Map() : this.#tiles;
    this.#makeAgain();
    if (isOther) {
      this.#marked = undefined;
      this.fit();
    }
  }

  /** Draws the same mask with other options. */
  restyle(options: ViewOptions): void {
    const { head, showsBlocks } = this.#options;
    this.#options = options;
    if (head === options.head && showsBlocks === options.showsBlocks) this.draw();
    else {
      this.#stale = new Map();
      this.#makeAgain();
    }
  }

  /** Makes the tiles again, for another theme. */
  repaint(): void {
    this.#stale = new Map();
    this.#makeAgain();
  }

  #makeAgain(): void {
    this.#generation++;
    this.#tiles = new Map();
    this.#colours = undefined;
    this.draw();
  }

  fit(): void {
    this.#isWhole = true;
    this.#scale = this.#leastScale();
    this.#left = 0;
    this.#top = 0;
    this.draw();
  }

  /** Fits the canvas after it changed its size. */
  resize(): void {
    if (this.#isWhole) this.fit();
    else this.zoom(1);
  }

  moveTo({ left, top, scale }: ViewState): void {
    this.#isWhole = false;
    this.#left = left;
    this.#top = top;
    this.#scale = scale;
    this.zoom(1);
  }

  /** Zooms by a factor about a point of the canvas, by default its middle. */
  zoom(factor: number, x?: number, y?: number): void {
    const margin = this.#margin();
    const [fromX, fromY] = [
      (x ?? (this.#width() + margin) / 2) - margin,
      (y ?? (this.#height() + margin) / 2) - margin,
    ];
    const least = this.#leastScale();
    const scale = Math.min(Math.max(MOST_ZOOM, least), Math.max(least, this.#scale * factor));
    this.#left += fromX / this.#scale - fromX / scale;
    this.#top += fromY / this.#scale - fromY / scale;
    this.#scale = scale;
    this.#isWhole = scale <= least * 1.001;
    this.draw();
  }

  pan(x: number, y: number): void {
    this.#left -= x / this.#scale;
    this.#top -= y / this.#scale;
    this.draw();
  }

  placeAt(x: number, y: number): Place | undefined {
    const margin = this.#margin();
    const key = Math.floor(this.#left + (x - margin) / this.#scale);
    const query = Math.floor(this.#top + (y - margin) / this.#scale);
    const isInside = x >= margin && y >= margin && key < this.#tokens && query < this.#tokens;
    return isInside ? { query, key } : undefined;
  }

  mark(place: Place | undefined, isLocked = false): void {
    this.#marked = place;
    this.#isLocked = isLocked;
    this.draw();
  }

  /** Moves the view no more than it takes to see a cell. */
  reveal({ query, key }: Place): void {
    const margin = this.#margin();
    const [across, down] = [(this.#width() - margin) / this.#scale, (this.#height() - margin) / this.#scale];
    this.#left = Math.min(key, Math.max(key + 1 - across, this.#left));
    this.#top = Math.min(query, Math.max(query + 1 - down, this.#top));
    this.draw();
  }

  draw(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  /** Ends what is still to come. */
  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = -1;
    this.#generation++;
  }

  #width(): number {
    return this.#canvas.clientWidth;
  }

  #height(): number {
    return this.#canvas.clientHeight;
  }

  #margin(): number {
    return labelMargin(this.#tokens, this.#options.words);
  }

  #leastScale(): number {
    const side = Math.min(this.#width(), this.#height()) - this.#margin() - 1;
    return Math.max(1e-6, side) / Math.max(1, this.#tokens);
  }

  #paint(): void {
    this.#frame = 0;
    const context = this.#canvas.getContext('2d');
    if (context === null || this.#tokens === 0) return;
    const ratio = devicePixelRatio;
    const [width, height, margin] = [this.#width(), this.#height(), this.#margin()];
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== across) this.#canvas.width = across;
    if (this.#canvas.height !== down) this.#canvas.height = down;
    this.#hold((width - margin) / this.#scale, (height - margin) / this.#scale);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(margin, margin, width - margin, height - margin);
    context.clip();
    const port: ViewPort = {
      width,
      height,
      margin,
      tokens: this.#tokens,
      scale: this.#scale,
      left: this.#left,
      top: this.#top,
    };
    const side = this.#tokens * this.#scale;
    context.fillStyle = colour('--none');
    context.fillRect(this.#x(0), this.#y(0), side, side);
    const { missing, drawn } = this.#paintTiles(context, width, height);
    if (this.#options.showsBlocks) paintBlockLines(context, port);
    if (this.#marked !== undefined) paintMark(context, port, this.#marked, this.#isLocked);
    context.restore();
    paintAxes(context, port, this.#options.words);
    const { dataset } = this.#canvas;
    dataset.view = JSON.stringify({ left: this.#x(0), top: this.#y(0), scale: this.#scale });
    dataset.missing = String(missing);
    dataset.drawn = String(drawn);
    this.#moved({ left: this.#left, top: this.#top, scale: this.#isWhole ? 0 : this.#scale });
  }

  /** Keeps the picture in sight. */
  #hold(across: number, down: number): void {
    this.#left = Math.max(0, Math.min(this.#left, this.#tokens - across));
    this.#top = Math.max(0, Math.min(this.#top, this.#tokens - down));
  }

  #x(key: number): number {
    return this.#margin() + (key - this.#left) * this.#scale;
  }

  #y(query: number): number {
    return this.#margin() + (query - this.#top) * this.#scale;
  }

  /** Draws the level that fits the zoom, coarser tiles where it has not come yet, and asks for it. Returns the numbers of tiles. */
  #paintTiles(context: CanvasRenderingContext2D, width: number, height: number): { missing: number; drawn: number } {
    const margin = this.#margin();
    const level = Math.max(0, Math.floor(-Math.log2(this.#scale * devicePixelRatio)));
    const span = TILE_SIDE * 2 ** level;
    const last = Math.ceil(this.#tokens / span) - 1;
    const [right, bottom] = [this.#left + (width - margin) / this.#scale, this.#top + (height - margin) / this.#scale];
    let missing = 0;
    let drawn = 0;
    context.imageSmoothingEnabled = false;
    for (let row = Math.floor(this.#top / span); row <= Math.min(last, Math.floor(bottom / span)); row++) {
      for (let column = Math.floor(this.#left / span); column <= Math.min(last, Math.floor(right / span)); column++) {
        const name = `${level}/${column}/${row}`;
        const tile = this.#tiles.get(name);
        if (tile !== undefined) this.#paintTile(context, tile, level, column, row, level);
        else {
          missing++;
          if (!this.#tiles.has(name)) this.#ask(name, level, column, row);
          this.#paintInstead(context, level, column, row);
        }
        drawn++;
      }
    }
    return { missing, drawn };
  }

  /** What there is at the place of a tile: a part of a coarser one, or that of the mask before. */
  #paintInstead(context: CanvasRenderingContext2D, level: number, column: number, row: number): void {
    for (const tiles of [this.#tiles, this.#stale]) {
      for (let up = 0; level + up <= 20; up++) {
        const tile = tiles.get(`${level + up}/${Math.floor(column / 2 ** up)}/${Math.floor(row / 2 ** up)}`);
        if (tile === undefined) continue;
        this.#paintTile(context, tile, level, column, row, level + up);
        return;
      }
    }
  }

  /** Draws the place of tile (column, row) of `level` from a tile of the same or a coarser level. */
  #paintTile(
    context: CanvasRenderingContext2D,
    tile: Shown,
    level: number,
    column: number,
    row: number,
    from: number,
  ): void {
    const parts = 2 ** (from - level);
    const part = TILE_SIDE / parts;
    const size = TILE_SIDE * 2 ** level * this.#scale;
    const [x, y] = [this.#x(column * TILE_SIDE * 2 ** level), this.#y(row * TILE_SIDE * 2 ** level)];
    if (typeof tile === 'string') {
      context.fillStyle = tile;
      context.fillRect(x, y, size, size);
      return;
    }
    context.drawImage(tile, (column % parts) * part, (row % parts) * part, part, part, x, y, size, size);
  }

  #ask(name: string, level: number, column: number, row: number): void {
    const generation = this.#generation;
    if (this.#tiles.size > MOST_TILES) this.#tiles.clear();
    this.#tiles.set(name, undefined);
    this.#engine.ask({ kind: 'tile', head: this.#options.head, level, column, row }).then(
      ({ tile }) => {
        if (generation !== this.#generation) return;
        this.#colours ??= cellColours(this.#options.showsBlocks);
        this.#tiles.set(name, colourOfAll(tile, this.#colours) ?? tilePicture(tile, this.#colours));
        this.draw();
      },
      () => {
        if (generation === this.#generation) this.#tiles.delete(name);
      },
    );
  }
}
