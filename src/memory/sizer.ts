/**
 * How many bytes the active memtable may hold before it is sealed: a second's worth of writes, less under memory pressure.
 *
 *   rate = rate x (1 - a) + a x bytes / dt      a = 1 - (1 - alpha)^(dt / 1 s), so that only time counts, not the number of updates
 *   f(p) = 1 for p <= t, else max(0, 1 - ((p - t) / (1 - t))^2)
 *   size = clamp(rate x target x f(p), min, max)
 *
 * Invariants
 * 1. min <= size <= max at every instant, from the first on and after every change of the bounds.
 * 2. The rate is that of demand: bytes offered, recorded before they are admitted. Measured after admission, a small memtable
 *    would throttle writers, which would lower the rate, which would shrink the memtable.
 * 3. Pressure that cannot be read is unknown, never 0: the last known value stays in force, and `stats` says so.
 * 4. Bytes recorded are used once: an update at the instant of the last one changes nothing and keeps them.
 *
 * Cost: one addition a write; an update reads clock and pressure, about once a second. Holds no memory worth an account.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'

/** Where time and pressure come from. */
export interface SizerWorld {
  /** Monotonic milliseconds. */
  nowMs(): number
  /** Memory pressure from 0 to 1, undefined while unknown. Read once per update, and only with pressure feedback. */
  pressure(): number | undefined
}

export interface SizerOptions {
  /** Initial size. Default 4 MiB. */
  baseBytes?: number
  /** Minimum size. Default a quarter of the base. */
  minBytes?: number
  /** Maximum size. Default four times the base. */
  maxBytes?: number
  /** Time of writes one memtable should hold. Default 1 s. */
  targetSeconds?: number
  /** Weight of the latest second in the rate, above 0, at most 1. Default 0.1. */
  alpha?: number
  /** Pressure above which the size shrinks, 0 to 1. Default 0.7. */
  pressureThreshold?: number
  /** Whether pressure counts. Default true. */
  pressureFeedback?: boolean
}

export type SizerConfig = Required<SizerOptions>

export interface SizerStats {
  sizeBytes: number
  rateBytesPerSecond: number
  /** The last known value; undefined: never known. */
  pressure: number | undefined
  /** False when the latest update could not read the pressure, so that `pressure` is older. */
  pressureKnown: boolean
  /** Recorded since the last update. */
  pendingBytes: number
  updates: number
  config: SizerConfig
}

const MIB = 1024 * 1024

export class MemtableSizer {
  readonly #world: SizerWorld
  #options: SizerOptions = {}
  #config: SizerConfig
  #recordedBytes = 0
  #rate: number
  #sizeBytes: number
  #pressure: number | undefined
  #pressureKnown = false
  #updatedMs: number
  #updates = 0

  /** Throws INVALID_ARGUMENT. The first update measures from here. */
  constructor(world: SizerWorld, options: SizerOptions = {}) {
    this.#world = world
    this.#options = given(options)
    this.#config = resolve(this.#options)
    this.#rate = this.#config.baseBytes / this.#config.targetSeconds
    this.#sizeBytes = this.#size()
    this.#updatedMs = world.nowMs()
  }

  /** Maximum bytes of the memtable. */
  get sizeBytes(): number { return this.#sizeBytes }
  get rateBytesPerSecond(): number { return this.#rate }
  /** The pressure in force; undefined: never read. */
  get pressure(): number | undefined { return this.#pressure }

  /** A write of `bytes` is requested. Call once, before admission. */
  recordWrite(bytes: number): void {
    this.#recordedBytes += bytes
  }

  shouldSeal(bytes: number): boolean {
    return bytes >= this.#sizeBytes
  }

  /** Estimate from the writes since the last update. Call about once a second; any interval will do. */
  update(): void {
    const nowMs = this.#world.nowMs()
    const seconds = (nowMs - this.#updatedMs) / 1000
    if (!(seconds > 0)) return
    const bytes = this.#recordedBytes
    this.#updatedMs = nowMs
    this.#recordedBytes = 0
    // A rate that is not a number would never seal a memtable again.
    if (!(bytes >= 0 && bytes < Infinity)) throw accountingError(bytes)
    const weight = -Math.expm1(seconds * Math.log1p(-this.#config.alpha))
    this.#rate += weight * (bytes / seconds - this.#rate)
    if (this.#config.pressureFeedback) this.#readPressure()
    this.#updates++
    this.#sizeBytes = this.#size()
  }

  /**
   * Change some options; missing ones keep their value, and bounds never given follow the base. The size is within the new bounds
   * at once. Throws INVALID_ARGUMENT, and changes nothing.
   */
  configure(changes: SizerOptions): void {
    const options = { ...this.#options, ...given(changes) }
    this.#config = resolve(options)
    this.#options = options
    if (!this.#config.pressureFeedback) this.#pressureKnown = false
    this.#sizeBytes = this.#size()
  }

  stats(): SizerStats {
    return {
      sizeBytes: this.#sizeBytes, rateBytesPerSecond: this.#rate, pressure: this.#pressure, pressureKnown: this.#pressureKnown,
      pendingBytes: this.#recordedBytes, updates: this.#updates, config: { ...this.#config },
    }
  }

  #readPressure(): void {
    const pressure = this.#world.pressure()
    this.#pressureKnown = pressure !== undefined && !Number.isNaN(pressure)
    if (this.#pressureKnown) this.#pressure = Math.min(1, Math.max(0, pressure!))
  }

  #size(): number {
    const { targetSeconds, minBytes, maxBytes, pressureFeedback, pressureThreshold } = this.#config
    const factor = pressureFeedback && this.#pressure !== undefined ? pressureFactor(this.#pressure, pressureThreshold) : 1
    return Math.floor(Math.min(maxBytes, Math.max(minBytes, this.#rate * targetSeconds * factor)))
  }
}

/** The remaining share of the size under a pressure: all up to the threshold, nothing at 1. */
export function pressureFactor(pressure: number, threshold: number): number {
  if (pressure <= threshold) return 1
  return Math.max(0, 1 - ((pressure - threshold) / (1 - threshold)) ** 2)
}

/** Without undefined members. */
function given(options: SizerOptions): SizerOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function resolve(options: SizerOptions): SizerConfig {
  const baseBytes = options.baseBytes ?? 4 * MIB
  const config: SizerConfig = {
    baseBytes,
    minBytes: options.minBytes ?? Math.ceil(baseBytes / 4),
    maxBytes: options.maxBytes ?? baseBytes * 4,
    targetSeconds: options.targetSeconds ?? 1,
    alpha: options.alpha ?? 0.1,
    pressureThreshold: options.pressureThreshold ?? 0.7,
    pressureFeedback: options.pressureFeedback ?? true,
  }
  const { minBytes, maxBytes, targetSeconds, alpha, pressureThreshold } = config
  for (const name of ['minBytes', 'baseBytes', 'maxBytes'] as const) {
    if (!(Number.isSafeInteger(config[name]) && config[name] > 0)) {
      throw outOfRange(name, config[name], 'a whole number of bytes above 0', config)
    }
  }
  if (!(minBytes <= baseBytes && baseBytes <= maxBytes)) {
    throw invalidArgument(
      'a memtable needs minBytes <= baseBytes <= maxBytes, not ' +
      `${formatSize(minBytes)}, ${formatSize(baseBytes)}, ${formatSize(maxBytes)}. ` +
      'Bounds that are left out follow the base: a quarter of it and four times it', { ...config })
  }
  if (!(targetSeconds > 0 && targetSeconds < Infinity)) {
    throw outOfRange('targetSeconds', targetSeconds, 'above 0 and finite', config)
  }
  if (!(alpha > 0 && alpha <= 1)) throw outOfRange('alpha', alpha, 'above 0 and at most 1', config)
  if (!(pressureThreshold >= 0 && pressureThreshold <= 1)) {
    throw outOfRange('pressureThreshold', pressureThreshold, 'from 0 to 1', config)
  }
  return config
}

function outOfRange(name: string, value: number, range: string, config: SizerConfig): SpillwayError {
  return invalidArgument(`${name} of the memtable sizer must be ${range}, not ${String(value)}`, { ...config })
}

function accountingError(bytes: number): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_INVALID_ARGUMENT',
    `accounting error in the memtable sizer: ${bytes} bytes written. This is a bug in Spillway; please report it`,
    { details: { bytes } },
  )
}
