/** A promise and its two ends. */
export interface Deferred {
  promise: Promise<void>
  resolve: () => void
  reject: (error: Error) => void
}

export function deferred(): Deferred {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
