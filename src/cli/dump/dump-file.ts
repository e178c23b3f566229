/**
 * Opens one file of a store and dumps it. Reads no directory, takes no lock, writes nothing.
 *
 * Account: `dump`. Memory holds one frame, or one block and an index node of each level, or a whole manifest.
 */
import { basename, resolve } from 'node:path'
import { nodeHost } from '../../host/node/node-host.ts'
import type { HostFile } from '../../host/host.ts'
import { Kernels } from '../../kernels/kernels.ts'
import { Budget } from '../../memory/budget.ts'
import type { Account } from '../../memory/budget.ts'
import { KERNEL_REGION_BYTES } from '../../table/format.ts'
import { LOG_READ_BUFFER_BYTES } from '../../wal/log-reader.ts'
import { CommandError } from '../errors.ts'
import { KIND_NAMES, identify } from './identify.ts'
import type { Identity } from './identify.ts'
import { logRecords } from './log.ts'
import { manifestRecords } from './manifest.ts'
import type { DumpRecords } from './record.ts'
import { tableRecords } from './table.ts'
import { valueRecords } from './value.ts'

/** The window of the search for frames, and the beginning of a value. */
const SCRATCH_BYTES = 128 * 1024

export interface DumpOptions {
  budgetBytes: number
  withEntries: boolean
}

/** Throws CommandError when it is no file of a store, BUDGET_TOO_SMALL, and errors of the file system. */
export function *dumpFile(path: string, { budgetBytes, withEntries }: DumpOptions): DumpRecords {
  const host = nodeHost()
  const account = new Budget(budgetBytes).account('dump')
  const lease = account.lease(Kernels.bytesFor(KERNEL_REGION_BYTES) + LOG_READ_BUFFER_BYTES + SCRATCH_BYTES)
  let file: HostFile | undefined
  try {
    file = host.files.openRead(resolve(path))
    const kernels = new Kernels(KERNEL_REGION_BYTES)
    const buffer = new Uint8Array(LOG_READ_BUFFER_BYTES)
    const identity = identify(file, basename(path), buffer, kernels)
    if (identity === undefined) throw unknownFile(path)
    let damaged = 0
    for (const record of recordsOf(identity, file)) {
      if (record.type === 'damage') damaged++
      yield record
    }
    yield { type: 'end', damaged }

    function *recordsOf({ kind, number, problem }: Identity, opened: HostFile): DumpRecords {
      if (problem !== undefined) yield { type: 'damage', offset: 0, message: problem }
      if (kind === 'log') yield* logRecords(opened, number, buffer, kernels)
      else if (kind === 'table') yield* tableRecords(opened, number, kernels, { withEntries, ...nodeLease(account) })
      else if (kind === 'manifest') yield* manifestRecords(opened, number, host.files, kernels, account)
      else yield* valueRecords(opened, number, host.files, kernels)
    }
  } finally {
    file?.close()
    lease.release()
  }
}

/** Leases copies of index nodes. Not released: the budget ends with the dump. */
function nodeLease(account: Account): { admit: (bytes: number) => void } {
  const lease = account.lease(0)
  return {
    admit(bytes) {
      if (!lease.resize(bytes)) throw account.denied(bytes)
    },
  }
}

function unknownFile(path: string): CommandError {
  const kinds = Object.values(KIND_NAMES)
  return new CommandError('UNREADABLE_INPUT', `${path} is no ${kinds.slice(0, -1).join(', ')} or ${kinds.at(-1)}: neither its name nor its content says so. `
    + 'If it is damaged, give it the name that it had in the store, e.g. 00000012.table', { file: path })
}
