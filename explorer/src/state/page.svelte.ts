import { type Pattern, parsePattern } from '../../../src/pattern/index.ts';
import { checkState, FIRST_STATE, type PageState, stateFromHash, stateToHash } from './page-state.ts';

/** Changes of one kind that follow each other within this time are one step of undo, such as those of a slider. */
const ONE_GESTURE = 800;
const MOST_STEPS = 200;
/** Browsers refuse addresses that change too often. */
const ADDRESS_DELAY = 120;

interface Step {
  readonly state: PageState;
  readonly gesture: string;
  readonly time: number;
}

/**
 * The state of the page, which is its address, with undo. It is always one that can be shown: a change that is not is refused
 * with a message in `trouble`, and all stays as it was.
 */
export class Page {
  #state: PageState = $state.raw(FIRST_STATE);
  #undo: readonly Step[] = $state.raw([]);
  #redo: readonly PageState[] = $state.raw([]);
  /** Why the last change was refused; empty where it was not. */
  trouble = $state('');
  #isRead = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** The pattern of the layer that is shown, and its text form. */
  readonly pattern: Pattern = $derived.by(() => parsePattern(this.text));

  get text(): string {
    const { patterns, layer } = this.#state;
    return patterns[layer % patterns.length] ?? FIRST_STATE.patterns[0] ?? 'dense';
  }

  get state(): PageState {
    return this.#state;
  }

  /** The address of this state. */
  get link(): string {
    return new URL(stateToHash(this.#state), location.href).href;
  }

  get tokens(): number {
    return this.#state.tokens;
  }

  get heads(): number {
    return this.#state.heads;
  }

  get head(): number {
    return this.#state.head;
  }

  get layers(): number {
    return this.#state.layers;
  }

  get layer(): number {
    return this.#state.layer;
  }

  get section(): string {
    return this.#state.section;
  }

  get canUndo(): boolean {
    return this.#undo.length > 0;
  }

  get canRedo(): boolean {
    return this.#redo.length > 0;
  }

  /** Field `name` of a section's own state. */
  own(section: string, name: string): string | undefined {
    return this.#state.own[`${section}.${name}`];
  }

  /** Sets a field of a section's own state; undefined takes it out of the address. No step of undo. */
  setOwn(section: string, name: string, value: string | undefined): void {
    const { [`${section}.${name}`]: _, ...rest } = this.#state.own;
    this.#replace({ ...this.#state, own: value === undefined ? rest : { ...rest, [`${section}.${name}`]: value } });
  }

  /**
   * Changes the state. Changes with the same `gesture` that follow at once are one step of undo. Returns whether it was
   * accepted; where not, `trouble` says why.
   */
  change(change: Partial<PageState>, gesture = ''): boolean {
    const before = this.#state;
    const wanted = { ...before, ...change };
    const state = {
      ...wanted,
      head: Math.min(wanted.head, wanted.heads - 1),
      layer: Math.min(wanted.layer, wanted.layers - 1),
    };
    try {
      checkState(state);
    } catch (error) {
      this.trouble = messageOf(error);
      return false;
    }
    this.trouble = '';
    const isModel =
      state.patterns !== before.patterns || state.tokens !== before.tokens || state.heads !== before.heads;
    if (isModel && stateToHash(state) !== stateToHash(before)) {
      const last = this.#undo.at(-1);
      const now = performance.now();
      const isSame = gesture !== '' && last?.gesture === gesture && now - last.time < ONE_GESTURE;
      const step = { state: isSame && last !== undefined ? last.state : before, gesture, time: now };
      this.#undo = [...(isSame ? this.#undo.slice(0, -1) : this.#undo), step].slice(-MOST_STEPS);
      this.#redo = [];
    }
    this.#replace(state);
    return true;
  }

  /** Sets the pattern of the layer that is shown, and of the layers that have the same one. */
  setPattern(text: string, gesture = ''): boolean {
    const before = this.text;
    return this.change({ patterns: this.#state.patterns.map((old) => (old === before ? text : old)) }, gesture);
  }

  /** Opens a section; the browser's "back" leads to the one before. */
  open(section: string): void {
    if (section === this.#state.section) return;
    this.writeAddress();
    this.#state = { ...this.#state, section };
    history.pushState(null, '', stateToHash(this.#state));
  }

  undo(): void {
    const step = this.#undo.at(-1);
    if (step === undefined) return;
    this.#undo = this.#undo.slice(0, -1);
    this.#redo = [...this.#redo, this.#state];
    this.#restore(step.state);
  }

  redo(): void {
    const state = this.#redo.at(-1);
    if (state === undefined) return;
    this.#redo = this.#redo.slice(0, -1);
    this.#undo = [...this.#undo, { state: this.#state, gesture: '', time: 0 }];
    this.#restore(state);
  }

  /** Takes the state of the address; one that is broken is told, and the last good state stays. */
  readAddress(): void {
    if (this.#isRead && location.hash === stateToHash(this.#state)) {
      this.trouble = '';
      return;
    }
    try {
      const state = stateFromHash(location.hash);
      // What the page is opened with is its beginning, not a change.
      if (this.#isRead) this.change({ ...state, own: this.#state.own, section: this.#state.section });
      this.#state = state;
      this.trouble = '';
    } catch (error) {
      this.trouble = `The address of the page was not understood. ${messageOf(error)}`;
    }
    this.#isRead = true;
  }

  /** Writes the state to the address now, and not when changes have come to rest. */
  writeAddress(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const hash = stateToHash(this.#state);
    if (location.hash !== hash) history.replaceState(null, '', hash);
  }

  #restore(state: PageState): void {
    this.trouble = '';
    this.#replace({ ...state, section: this.#state.section, own: this.#state.own });
  }

  #replace(state: PageState): void {
    this.#state = state;
    this.#timer ??= setTimeout(() => this.writeAddress(), ADDRESS_DELAY);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
