import { combinePressure } from '../pressure.ts'
import type { PressureProbe, PressureReading } from '../pressure.ts'

/** The memory pressure of a simulated machine, as set. */
export class SimPressure implements PressureProbe {
  /** From 0 to 1; undefined = unreadable. */
  value: number | undefined

  constructor(value: number | undefined = 0) {
    this.value = value
  }

  read(): PressureReading {
    return combinePressure([{ name: 'machine', value: this.value }])
  }
}
