/** What a report advises: findings with a severity, and changes with benefit, risk and the exact action. */

export type Severity = 'low' | 'medium' | 'high'

/** Something that costs time or memory, with its figures. */
export interface Bottleneck {
  name: string
  severity: Severity
  /** A sentence with the numbers. */
  what: string
}

/**
 * How a change is made:
 * - 'applied': it is in effect already, as `how` says;
 * - 'call': it is made by this call;
 * - 'flag': only a start of the program with this flag makes it, e.g. `node --max-semi-space-size=32 app.js`;
 * - 'environment': only a start with this variable, or with `npx spillway run`;
 * - 'code': the program has to be changed.
 */
export interface Action {
  type: 'applied' | 'call' | 'flag' | 'environment' | 'code'
  how: string
}

export interface Opportunity {
  name: string
  severity: Severity
  /** What was seen, with the numbers. */
  why: string
  benefit: string
  risk: string
  action: Action
}

const RANK: Record<Severity, number> = { high: 0, medium: 1, low: 2 }

/** The most severe first; equals stay in order. */
export function bySeverity<T extends { severity: Severity }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => RANK[a.severity] - RANK[b.severity])
}

/** 'high' from `high` on, 'medium' from `medium` on; undefined below. */
export function severityOf(value: number, medium: number, high: number): Severity | undefined {
  return value >= high ? 'high' : value >= medium ? 'medium' : undefined
}
