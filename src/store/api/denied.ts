/** For want of memory, which comes and goes. */
export function isDenied(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'SPILLWAY_BUDGET_TOO_SMALL'
}
