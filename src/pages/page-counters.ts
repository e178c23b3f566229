/** Fields, because hot paths count here. */
export class PageCounters {
  inserts = 0
  frees = 0
  writesElided = 0
  evictionsCompressing = 0
  evictionsCheap = 0
  bornEvicted = 0
  admissionsBudget = 0
  admissionsSteal = 0
  admissionsDenied = 0
  spillsScheduled = 0
  spillsCancelled = 0
  eagerBacks = 0
  eagerCancelled = 0
  readFaults = 0
}
