/** The open transactions of a store. */
export interface OpenTransaction {
  readonly openedMs: number
  /** Bytes written, in memory and in tables. */
  readonly bytes: number
  /** Part of `bytes` that is in tables. */
  readonly tableBytes: number
  /** Abort it. */
  close(): void
}

export class OpenTransactions {
  readonly open = new Set<OpenTransaction>()
  /** Their running jobs. */
  jobs = 0
}
