/**
 * Samples of many figures over time: a ring of rows in one preallocated array, the oldest overwritten.
 *
 * Invariants
 * 1. All memory is allocated at once; a row or a column beyond it is not kept.
 * 2. Rows are in the order of time.
 *
 * Account: `profiler`. Cost: 8 bytes a figure; a rate reads the rows of its window once.
 */

const DOUBLE_BYTES = 8

/** How a figure changed over a window. */
export interface Trend {
  /** Latest value. */
  value: number
  /** Bytes a second by least squares; negative: it shrinks. */
  growthPerSecond: number
  minimum: number
  maximum: number
}

export class SampleRing {
  readonly columns: number
  readonly rows: number
  readonly #figures: Float64Array
  readonly #names = new Map<string, number>()
  /** Rows written, ever. */
  #written = 0
  #unnamed = 0

  constructor(rows: number, columns: number) {
    this.rows = rows
    this.columns = columns
    this.#figures = new Float64Array(rows * (columns + 1))
  }

  static bytesOf(rows: number, columns: number): number { return rows * (columns + 1) * DOUBLE_BYTES }

  get bytes(): number { return this.#figures.byteLength }
  /** Rows that are kept. */
  get size(): number { return Math.min(this.#written, this.rows) }
  /** Samples taken, ever. */
  get taken(): number { return this.#written }
  /** Figures that found no column. */
  get unnamed(): number { return this.#unnamed }
  get names(): Iterable<string> { return this.#names.keys() }

  /** The column of a name, a new one if needed; -1: all are taken. */
  column(name: string): number {
    let column = this.#names.get(name)
    if (column === undefined) {
      if (this.#names.size >= this.columns) {
        this.#unnamed++
        return -1
      }
      this.#names.set(name, column = this.#names.size)
    }
    return column
  }

  /** Begin a row: figures that are not set are 0. */
  begin(atMs: number): void {
    const start = this.#start(this.#written++)
    this.#figures.fill(0, start, start + this.columns + 1)
    this.#figures[start] = atMs
  }

  /** Set a figure of the row that was begun last. */
  set(column: number, value: number): void {
    if (column >= 0) this.#figures[this.#start(this.#written - 1) + 1 + column] = value
  }

  /** Time of a row; 0 is the oldest kept. */
  atMs(row: number): number { return this.#figures[this.#start(this.#written - this.size + row)]! }

  value(row: number, column: number): number { return this.#figures[this.#start(this.#written - this.size + row) + 1 + column]! }

  /** The first row of the last `windowMs`. */
  rowSince(windowMs: number): number {
    const endMs = this.size === 0 ? 0 : this.atMs(this.size - 1)
    let row = this.size
    while (row > 0 && this.atMs(row - 1) >= endMs - windowMs) row--
    return row
  }

  /** Over the rows from `from` on. */
  trend(column: number, from: number): Trend {
    const { size } = this
    if (column < 0 || size === 0) return { value: 0, growthPerSecond: 0, minimum: 0, maximum: 0 }
    const startMs = this.atMs(from)
    let minimum = Infinity
    let maximum = -Infinity
    let sumTime = 0
    let sumValue = 0
    for (let row = from; row < size; row++) {
      const value = this.value(row, column)
      if (value < minimum) minimum = value
      if (value > maximum) maximum = value
      sumTime += this.atMs(row) - startMs
      sumValue += value
    }
    const meanTime = sumTime / (size - from)
    const meanValue = sumValue / (size - from)
    let products = 0
    let squares = 0
    for (let row = from; row < size; row++) {
      const time = this.atMs(row) - startMs - meanTime
      products += time * (this.value(row, column) - meanValue)
      squares += time * time
    }
    return { value: this.value(size - 1, column), growthPerSecond: squares === 0 ? 0 : products / squares * 1000, minimum, maximum }
  }

  /** Sums of all steps up and down, per second. */
  steps(column: number, from: number): { upPerSecond: number, downPerSecond: number } {
    let up = 0
    let down = 0
    for (let row = from + 1; row < this.size && column >= 0; row++) {
      const step = this.value(row, column) - this.value(row - 1, column)
      if (step > 0) up += step
      else down -= step
    }
    const seconds = this.seconds(from)
    return seconds === 0 ? { upPerSecond: 0, downPerSecond: 0 } : { upPerSecond: up / seconds, downPerSecond: down / seconds }
  }

  /** From row `from` to the last. */
  seconds(from: number): number {
    return this.size - from < 2 ? 0 : (this.atMs(this.size - 1) - this.atMs(from)) / 1000
  }

  #start(number: number): number { return number % this.rows * (this.columns + 1) }
}
