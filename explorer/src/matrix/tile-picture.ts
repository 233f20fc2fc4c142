import { TILE_SIDE, type Tile } from '../engine/tile.ts';
import { channels } from '../style/colours.ts';

/** The colours of cells, read once for many tiles. */
export interface CellColours {
  readonly full: readonly number[];
  readonly partial: readonly number[];
}

/** With `showsBlocks`, cells of partial blocks have a colour of their own. */
export function cellColours(showsBlocks: boolean): CellColours {
  const full = channels('--full');
  return { full, partial: showsBlocks ? channels('--partial') : full };
}

/** A tile as a picture of `side` x `side` pixels, its first cells; opacity is the share of pairs, and nothing where there is none. */
export function tilePicture({ share, isPartial }: Tile, colours: CellColours, side = TILE_SIDE): HTMLCanvasElement {
  const picture = document.createElement('canvas');
  picture.width = side;
  picture.height = side;
  const context = picture.getContext('2d');
  if (context === null) return picture;
  const image = context.createImageData(side, side);
  const pixels = new Uint32Array(image.data.buffer);
  const [full, partial] = [shadesOf(colours.full), shadesOf(colours.partial)];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const place = y * TILE_SIDE + x;
      pixels[y * side + x] = (isPartial[place] === 1 ? partial : full)[share[place]];
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}

/** The pixel of each share, as canvases hold them: nothing for none, and enough for a single pair of a large cell to be seen. */
function shadesOf(channels: readonly number[]): Uint32Array {
  const bytes = new Uint8ClampedArray(256 * 4);
  for (let share = 1; share < 256; share++) {
    bytes.set(channels, share * 4);
    bytes[share * 4 + 3] = Math.round(90 + 165 * Math.sqrt(share / 255));
  }
  return new Uint32Array(bytes.buffer);
}

/** The one colour of a tile whose cells all look alike, as a canvas fills with; undefined for other tiles. */
export function colourOfAll({ share, isPartial }: Tile, colours: CellColours): string | undefined {
  const [part, partial] = [share[0], isPartial[0]];
  if (!share.every((own) => own === part) || !isPartial.every((own) => own === partial)) return undefined;
  const [red, green, blue, alpha] = new Uint8Array(
    shadesOf(partial === 1 ? colours.partial : colours.full).buffer,
  ).subarray(part * 4, part * 4 + 4);
  return `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
}
