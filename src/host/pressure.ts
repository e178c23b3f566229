/**
 * Memory pressure of the host: how near this process is to running out of memory, from 0 to 1.
 *
 * Invariants
 * 1. The pressure is the largest known part; undefined when none is known.
 * 2. An unreadable part is undefined, never 0.
 */

export interface PressurePart {
  /** 'machine', 'cgroup', 'machine stalls', 'cgroup stalls'; other parts may be added. */
  readonly name: string
  /** From 0 to 1; undefined = unreadable. */
  readonly value: number | undefined
}

export interface PressureReading {
  readonly pressure: number | undefined
  /** Parts that do not apply (a group without a limit) are left out. */
  readonly parts: readonly PressurePart[]
}

export interface PressureProbe {
  /** Cheap: the host is read once a second at most. */
  read(): PressureReading
}

/** Combine parts. Values are clamped to 0 to 1; NaN is unknown. */
export function combinePressure(parts: readonly PressurePart[]): PressureReading {
  let pressure: number | undefined
  const checked: PressurePart[] = []
  for (const { name, value } of parts) {
    const known = value === undefined || Number.isNaN(value) ? undefined : Math.min(1, Math.max(0, value))
    checked.push({ name, value: known })
    if (known !== undefined && (pressure === undefined || known > pressure)) pressure = known
  }
  return { pressure, parts: checked }
}
