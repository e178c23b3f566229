/** Leases denied one after the other, at each place where a script asks for one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SCRIPTS, play } from '../testing/denials.ts'
import type { Denial, Script } from '../testing/denials.ts'
import { stride } from '../testing/sim.ts'

/** A long run denies every lease, and begins at every lease to deny several. */
const ONE = stride(17)
const SEVERAL = stride(151)

/** Until the script asks for fewer leases than are let through. */
async function denyEach(script: Script, denial: Denial, distance: number): Promise<number> {
  for (let from = 0; ; from += distance) {
    assert.ok(from < 2000, 'a script asks for ever more leases')
    if (await play(script, from, denial) <= from) return from
  }
}

for (const script of SCRIPTS) {
  test(`${script.name}: any one lease may be denied`, { timeout: 600_000 }, async () => {
    const leases = await denyEach(script, 1, ONE)
    assert.ok(leases >= 5, `the script asks for ${leases} leases only`)
  })
  test(`${script.name}: leases may be denied for a while`, { timeout: 600_000 }, async () => {
    for (const denial of [3, 20, 'job'] as const) await denyEach(script, denial, SEVERAL)
  })
}
