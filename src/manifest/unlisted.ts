/** A manifest that is there and durable, of which nobody knows whether it is the newest. */
import { SpillwayError } from '../base/errors.ts'

/**
 * The directory could not be listed after this manifest was published: whether another process has gone on meanwhile is not known, so
 * it must not count yet. The next manifest of the same owner makes up for it.
 */
export class Unlisted extends SpillwayError {
  constructor(path: string, cause: unknown) {
    super(
      'SPILLWAY_UNAVAILABLE',
      `${path} was written, but listing its directory failed: ${(cause as Error).message}. Nothing was lost, and it is tried again`, { cause, details: { path } })
  }
}
