import type { HubOptions } from '../../checkpoint/index.ts';
import type { CommandContext } from '../context.ts';
import type { Progress } from '../progress.ts';

/** A progress line of a download from the hub, for as long as there is one. */
export function hubProgress({ progress }: CommandContext): { readonly hub: HubOptions } & Disposable {
  let line: Progress | undefined;
  let drawnTotal = -1;
  const end = (): void => {
    line?.[Symbol.dispose]();
    line = undefined;
  };
  return {
    hub: {
      onDownload: ({ done, total }) => {
        // The total grows when the index of the shards has been read.
        if (total !== drawnTotal) end();
        drawnTotal = total;
        line ??= progress({ label: 'downloading', unit: 'bytes', total });
        line.update(done);
        if (done === total) end();
      },
    },
    [Symbol.dispose]: end,
  };
}
