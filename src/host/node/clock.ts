import type { HostClock } from '../host.ts'

/** The machine's clocks. */
export const nodeClock: HostClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
}
