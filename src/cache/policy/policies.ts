/** The table of eviction policies: a new one is a file of its own and one row here. */
import { invalidArgument } from '../../base/errors.ts'
import { Lfu } from './lfu.ts'
import { Fifo, Lru } from './queue-policies.ts'
import { S3Fifo } from './s3-fifo.ts'
import type { EvictionPolicy, PolicyName } from './policy.ts'

interface PolicyEntry {
  readonly make: () => EvictionPolicy
  readonly bytesPerEntry: number
}

const POLICIES: Readonly<Record<PolicyName, PolicyEntry>> = {
  adaptive: { make: () => new S3Fifo(), bytesPerEntry: 25 },
  lru: { make: () => new Lru(), bytesPerEntry: 8 },
  lfu: { make: () => new Lfu(), bytesPerEntry: 9 },
  fifo: { make: () => new Fifo(), bytesPerEntry: 8 },
}

/** Throws INVALID_ARGUMENT for a policy that does not exist. */
export function policyOf(name: PolicyName): PolicyEntry {
  if (!Object.hasOwn(POLICIES, name)) {
    throw invalidArgument(`policy must be one of ${Object.keys(POLICIES).map(known => `'${known}'`).join(', ')}, not ${JSON.stringify(name)}`)
  }
  return POLICIES[name]
}
