/** Whether an error is a denied lease, which a retry may cure. */
export function isDenied(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'SPILLWAY_BUDGET_TOO_SMALL'
}
