// A store that does nothing: what a program takes with it is the program's own memory, not a store's.
export const hasLedger = false
export const holdsNothing = true

class NoIterator {
  async next() {}
  async nextv() { return NOTHING }
  async close() {}
  async* [Symbol.asyncIterator]() {}
}

class NoTransaction {
  async put() {}
  async get() {}
  async commit() {}
  async abort() {}
}

class NoStore {
  async begin() { return new NoTransaction() }

  async put() {}
  async batch() {}
  async get() {}
  iterator() { return new NoIterator() }
  async count() { return 0 }
  async flush() {}
  async compact() {}
  async close() {}
  setBudget() {}
}

const NOTHING = []

export function shareBudget(budgetBytes) {
  return budgetBytes
}

export async function open() {
  return new NoStore()
}
