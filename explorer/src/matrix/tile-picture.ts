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
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const place = y * TILE_SIDE + x;
      const part = share[place];
      if (part === 0) continue;
      const pixel = (y * side + x) * 4;
      image.data.set(isPartial[place] === 1 ? colours.partial : colours.full, pixel);
      // A single pair of a large cell must still be seen.
      image.data[pixel + 3] = Math.round(90 + 165 * Math.sqrt(part / 255));
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}
