import { formatPattern, type Pattern, parsePattern } from '../../../src/pattern/index.ts';
import { messageOf, type Page } from '../state/page.svelte.ts';
import {
  type Combination,
  changeAt,
  combine,
  holds,
  joinBefore,
  move,
  negate,
  type Path,
  regroup,
  step,
} from './edit.ts';

/** What is being dragged: a part of the pattern, or a pattern from elsewhere in its text form. */
export type Dragged = { readonly path: Path } | { readonly text: string };

/** Edits of the shown pattern's tree, and what is being dragged over it. All of them are steps of undo. */
export class Editor {
  readonly #page: Page;
  dragged: Dragged | undefined = $state.raw();

  constructor(page: Page) {
    this.#page = page;
  }

  get pattern(): Pattern {
    return this.#page.pattern;
  }

  /** Replaces the whole pattern; undefined, which is what is left when all parts were taken out, is dense. */
  set(pattern: Pattern | undefined, gesture = ''): void {
    this.#page.setPattern(formatPattern(pattern ?? { kind: 'dense' }), gesture);
  }

  setField(path: Path, name: string, value: unknown): void {
    const changed = changeAt(this.pattern, path, (part) => {
      const { [name]: _, ...rest } = part as unknown as Record<string, unknown>;
      return (value === undefined ? rest : { ...part, [name]: value }) as unknown as Pattern;
    });
    this.set(changed, `${path.join('.')}/${name}`);
  }

  remove(path: Path): void {
    this.set(changeAt(this.pattern, path, () => undefined));
  }

  negate(path: Path): void {
    this.set(changeAt(this.pattern, path, negate));
  }

  regroup(path: Path, kind: Combination): void {
    this.set(changeAt(this.pattern, path, (part) => regroup(part, kind)));
  }

  step(path: Path, by: 1 | -1): void {
    this.set(step(this.pattern, path, by));
  }

  /** Puts a part together with the sibling before it. */
  joinBefore(path: Path): void {
    this.set(joinBefore(this.pattern, path));
  }

  /** Whether what is dragged can be dropped on the part at `path`: not on itself, nor on what is inside it. */
  takes(path: Path): boolean {
    const { dragged } = this;
    return dragged !== undefined && !('path' in dragged && holds(dragged.path, path));
  }

  /** Puts a pattern beside the part at `path`. */
  add(path: Path, kind: Combination, part: Pattern): void {
    this.set(changeAt(this.pattern, path, (target) => combine(target, kind, part)));
  }

  /** Puts what is dragged beside the part at `path`. */
  drop(path: Path, kind: Combination): void {
    const { dragged } = this;
    this.dragged = undefined;
    if (dragged === undefined) return;
    try {
      if ('path' in dragged) this.set(move(this.pattern, dragged.path, path, kind));
      else this.add(path, kind, parsePattern(dragged.text));
    } catch (error) {
      this.#page.trouble = messageOf(error);
    }
  }
}
