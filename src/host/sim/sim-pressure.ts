import { combinePressure } from '../pressure.ts'
import type { PressureProbe, PressureReading } from '../pressure.ts'

/** The memory pressure of a simulated machine: what it is set to. */
export class SimPressure implements PressureProbe {
  /** From 0 to 1; undefined = cannot be read. */
  value: number | undefined

  constructor(value: number | undefined = 0) {
    this.value = value
  }

  read(): PressureReading {
    return combinePressure([{ name: 'machine', value: this.value }])
  }
}
