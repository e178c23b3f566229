/**
 * Memory pressure of the host: how near this process is to having no memory left, from 0 to 1.
 *
 * Invariants
 * 1. The pressure is the largest of the parts that are known; undefined when none is.
 * 2. What cannot be read is unknown (undefined), never 0.
 */

export interface PressurePart {
  /** Where it comes from: 'machine', 'cgroup', 'machine stalls', 'cgroup stalls'; others may add their own. */
  readonly name: string
  /** From 0 to 1; undefined = there is such a thing, but it could not be read. */
  readonly value: number | undefined
}

export interface PressureReading {
  readonly pressure: number | undefined
  /** What does not apply (a group without a limit) is left out. */
  readonly parts: readonly PressurePart[]
}

export interface PressureProbe {
  /** Cheap enough to be asked at any time: the host itself is looked at once a second at most. */
  read(): PressureReading
}

/** The reading that these parts make. Values are brought within 0 to 1; NaN is unknown. */
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
