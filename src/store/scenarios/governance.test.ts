/** Several stores on one small budget under every kind of trouble, one run a seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../../memory/budget.ts'
import type { Account } from '../../memory/budget.ts'
import type { Spillway } from '../spillway.ts'
import { Governance } from '../testing/governance.ts'
import type { GovernanceOptions } from '../testing/governance.ts'
import { firstSeed, seedCount } from '../testing/sim.ts'

const SEEDS = seedCount(18)
const FIRST_SEED = firstSeed(1)

test(`stores that share a budget keep it and lose nothing, whatever happens (${SEEDS} seeds)`, { timeout: 3_600_000 }, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const run = new Governance(seed)
    try {
      await run.run()
    } catch (cause) {
      const { message } = cause as Error
      const last = run.events.slice(-25).join('\n  ')
      throw new Error(`seed ${seed} (repeat it with SPILLWAY_SEED=${seed} SPILLWAY_SEEDS=1): ${message}\n  ${last}`, { cause })
    }
  }
})

test('the same seed gives the same events', { timeout: 120_000 }, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + 3; seed++) {
    const logs: string[][] = []
    for (let i = 0; i < 2; i++) {
      const run = new Governance(seed)
      run.host.disk.isLogging = true
      await run.run()
      logs.push([...run.events, ...run.host.disk.log])
    }
    assert.ok(logs[0]!.length > 100)
    assert.deepEqual(logs[0], logs[1])
  }
})

/** The budget as a whole forgets that some bytes came back. */
class ForgetfulBudget extends Budget {
  #calls = 0

  override giveBack(bytes: number): void {
    if (++this.#calls % 50 !== 0) super.giveBack(bytes)
  }
}

/** A lease that is never released. */
class LeakyBudget extends Budget {
  readonly #leaky = new Set<Account>()
  #calls = 0

  override account(name: string, bound?: string): Account {
    const account = super.account(name, bound!)
    if (this.#leaky.has(account)) return account
    this.#leaky.add(account)
    const shrink = account.shrink.bind(account)
    account.shrink = bytes => {
      if (++this.#calls !== 20) shrink(bytes)
    }
    return account
  }
}

/** A store of which some methods are replaced. */
function withMethods(db: Spillway, changes: Partial<Spillway>): Spillway {
  return new Proxy(db, {
    get(target, name) {
      const method = Reflect.get(changes, name) ?? Reflect.get(target, name)
      return typeof method === 'function' ? method.bind(target) : method
    },
  })
}

/** Every N calls of `put` something else happens. */
function withPut(every: number, put: (db: Spillway, ...args: Parameters<Spillway['put']>) => Promise<void>): GovernanceOptions {
  let calls = 0
  return { wrap: db => withMethods(db, { put: (...args) => (++calls % every === 0 ? put(db, ...args) : db.put(...args)) }) }
}

const planted: [string, () => GovernanceOptions, RegExp][] = [
  ['a budget that forgets what came back', () => ({ makeBudget: bytes => new ForgetfulBudget(bytes) }), /the accounts add up/],
  ['a lease that is not released', () => ({ makeBudget: bytes => new LeakyBudget(bytes) }), /bytes left after/],
  ['a write that is acknowledged and lost', () => withPut(20, () => Promise.resolve()), /key k\d\d: found/],
  ['a write that never settles', () => withPut(20, () => new Promise(() => {})), /it hangs/],
  ['a write that is denied memory', () => withPut(20, async db => { db.setBudget('1 MiB') }), /failed with SPILLWAY_BUDGET_TOO_SMALL/],
  ['a write that is refused though it is made', () => withPut(20, async (db, ...args) => {
    await db.put(...args)
    await db.close()
    await db.put(...args)
  }), /closed, which it is not/],
  [
    'an iterator that sees what came after it',
    () => ({ wrap: db => withMethods(db, { iterator: ({ reverse = false } = {}) => db.iterator({ reverse }) }) }), /Expected values|key/,
  ],
]

for (const [name, options, expected] of planted) {
  test(`the simulation notices ${name}`, { timeout: 120_000 }, async () => {
    const messages: string[] = []
    for (let seed = 1; seed <= 20; seed++) {
      try {
        await new Governance(seed, options()).run()
      } catch (error) {
        messages.push((error as Error).message)
        if (expected.test((error as Error).message)) return
      }
    }
    assert.fail(`not noticed; what was: ${messages.join('; ')}`)
  })
}
