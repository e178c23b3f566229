/**
 * Handles that outlive their use: iterators, snapshots, transactions, pins and blocks of pools that were not used for 30 seconds.
 *
 * Invariants
 * 1. Memory that a cache or a table holds is no handle, so it is never a leak.
 * 2. What is used is no leak, however old it is. An iterator that moves keeps its snapshot or transaction in use.
 * 3. Handles of one kind from one place are one line.
 *
 * Cost: one pass over the open handles.
 */
import type { HandleKind, OpenHandle, OpenHandles } from '../memory/open-handles.ts'

/** Unused for this long: it may be a leak. */
const SUSPECT_MS = 30_000
/** Unused for this long: it is one. */
const CERTAIN_MS = 300_000
export const MAX_LEAKS = 20

const UNKNOWN = 'not recorded: more than 24 were opened in that second'

export interface Leak {
  /** 'iterator', 'snapshot', 'transaction', 'pin' or 'block'. */
  kind: HandleKind
  /** Where they were opened: "name (file:line:column)". */
  site: string
  /** Handles from that place which are not used. */
  count: number
  /** Bytes of memory they hold now. Iterators and snapshots also hold old versions on disk. */
  bytes: number
  /** Milliseconds since the one that is unused for longest was last used. */
  ageMs: number
  /** From 0.1 to 1: the age by 300 seconds. */
  confidence: number
}

export interface DroppedHandles {
  site: string
  /** Handles opened there that were collected without having been closed. */
  count: number
}

export interface LeakReport {
  /** Handles that are open, on all budgets. */
  open: number
  /** Handles that are reported as leaks, in all. */
  leaked: number
  /** The surest first, then the largest. */
  leaks: Leak[]
  /** Places whose handles were collected without having been closed, most first: certain leaks. Their memory was given back. */
  dropped: DroppedHandles[]
  /** Handles that are not in the list because it was full. */
  unlisted: number
}

export function leakReport(lists: readonly OpenHandles[], nowMs: number, limit: number): LeakReport {
  const found = new Map<string, Leak>()
  let open = 0
  let leaked = 0
  for (const list of lists) {
    open += list.size
    for (let member = list.first; member !== undefined; member = member.after) {
      const handle = member.value
      if (nowMs - handle.usedMs < SUSPECT_MS) continue
      leaked++
      add(found, handle, nowMs - handle.usedMs)
    }
  }
  const leaks = [...found.values()].sort((a, b) => b.confidence - a.confidence || b.bytes - a.bytes || b.ageMs - a.ageMs)
  return { open, leaked, leaks: leaks.slice(0, limit), dropped: droppedIn(lists, limit), unlisted: lists.reduce((sum, list) => sum + list.unlisted, 0) }
}

function add(found: Map<string, Leak>, { kind, site, subject }: OpenHandle, ageMs: number): void {
  const name = site?.name ?? UNKNOWN
  const key = `${kind} ${name}`
  let leak = found.get(key)
  if (leak === undefined) found.set(key, leak = { kind, site: name, count: 0, bytes: 0, ageMs: 0, confidence: 0 })
  leak.count++
  leak.bytes += subject.heldBytes ?? 0
  leak.ageMs = Math.max(leak.ageMs, ageMs)
  leak.confidence = Math.min(leak.ageMs / CERTAIN_MS, 1)
}

function droppedIn(lists: readonly OpenHandles[], limit: number): DroppedHandles[] {
  const counts = new Map<string, number>()
  for (const { sites } of lists) {
    for (const { name, dropped } of sites.values()) if (dropped > 0) counts.set(name, (counts.get(name) ?? 0) + dropped)
  }
  return [...counts].map(([site, count]) => ({ site, count })).sort((a, b) => b.count - a.count).slice(0, limit)
}
