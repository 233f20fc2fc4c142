/** What loaders take for a path: a file, a folder, or an id on the hub. */
import { existsSync } from 'node:fs';
import { HubError } from '../../errors.ts';
import { type OpenHubOptions, openHub } from './open-hub.ts';
import { hubMeaning } from './repository.ts';

/**
 * The local file or folder that `path` means. An id of the hub (`hf:owner/name` always, `owner/name` where there is no such path here) is
 * downloaded, and its weights are named where `files` is 'model'. Anything else is handed back as it is. @throws HubError
 */
export async function localPath(path: string, options: OpenHubOptions = {}): Promise<string> {
  const meaning = hubMeaning(path);
  if (meaning === 'local' || (meaning === 'perhaps' && existsSync(path))) return path;
  try {
    const { file, folder } = await openHub(path, options);
    return options.files === 'tokenizer' ? folder : (file ?? folder);
  } catch (error) {
    if (meaning === 'hub' || !(error instanceof HubError)) throw error;
    throw new HubError(error.failure, `${error.message} (There is no such local path either.)`, { cause: error });
  }
}
