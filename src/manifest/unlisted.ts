/** A manifest that is durable but may not be the newest. */
import { SpillwayError } from '../base/errors.ts'

/**
 * The directory could not be listed after publishing, so another process may have continued: the manifest must not count yet. The
 * owner's next manifest replaces it.
 */
export class Unlisted extends SpillwayError {
  constructor(path: string, cause: unknown) {
    super(
      'SPILLWAY_UNAVAILABLE',
      `${path} was written, but listing its directory failed: ${(cause as Error).message}. Nothing was lost, and it is tried again`, { cause, details: { path } })
  }
}
