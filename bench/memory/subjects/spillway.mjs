// The store itself, through the package's own entry.
import { Budget, Spillway } from 'spillway'

export const hasLedger = true

/** One budget for several stores. */
export function shareBudget(budgetBytes) {
  return new Budget(budgetBytes)
}

/** `budget`: bytes, or what `shareBudget` made. `options`: further options of `Spillway.open`. */
export function open(directory, budget, options = {}) {
  return Spillway.open(directory, { budget, keyEncoding: 'buffer', valueEncoding: 'buffer', durability: 'os', ...options })
}
