import type { HostClock } from '../host.ts'

export const nodeClock: HostClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
}
