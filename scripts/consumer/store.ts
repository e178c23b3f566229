// How programs use the types of a store. Compiled by scripts/check.mjs, never run: every line must compile, and what stands below a
// ts-expect-error must not.
import { Spillway } from 'spillway'
import type { BatchOperation, Codec, Encoding, IteratorOptions, OpenOptions, ReadOptions, Snapshot, SpillwayIterator, Transaction, WriteOptions } from 'spillway'
import { is } from './is.ts'

interface User { name: string }
declare const dates: Codec<Date>
declare const mayBeBuffer: 'buffer' | undefined
declare const anyEncoding: Encoding
declare const mode: boolean

// ---- open

export async function typesFollowTheEncodings(): Promise<void> {
  is<Spillway<string, string>>()(await Spillway.open('dir'))
  is<Spillway<string, string>>()(await Spillway.open('dir', undefined))
  is<Spillway<string, string>>()(await Spillway.open('dir', {}))
  is<Spillway<string, string>>()(await Spillway.open('dir', { budget: '64 MiB', valueEncoding: undefined }))
  is<Spillway<string, string>>()(await Spillway.open('dir', { keyEncoding: 'utf8', valueEncoding: 'utf8' }))
  is<Spillway<string, unknown>>()(await Spillway.open('dir', { valueEncoding: 'json' }))
  is<Spillway<unknown, unknown>>()(await Spillway.open('dir', { keyEncoding: 'json', valueEncoding: 'json' }))
  is<Spillway<string, Buffer>>()(await Spillway.open('dir', { valueEncoding: 'buffer' }))
  is<Spillway<Buffer, Uint8Array>>()(await Spillway.open('dir', { keyEncoding: 'buffer', valueEncoding: 'view' }))
  is<Spillway<string, Date>>()(await Spillway.open('dir', { valueEncoding: dates }))
  is<Spillway<Date, unknown>>()(await Spillway.open('dir', { keyEncoding: dates, valueEncoding: 'json' }))
  is<Spillway<string, number>>()(await Spillway.open('dir', { valueEncoding: { encode: (n: number) => String(n), decode: bytes => bytes.length } }))
  is<Spillway<string, string | Buffer>>()(await Spillway.open('dir', { valueEncoding: mayBeBuffer }))
  is<Spillway<string, string | Buffer>>()(await Spillway.open('dir', { valueEncoding: mode ? 'utf8' : 'buffer' }))
  is<Spillway<string, unknown>>()(await Spillway.open('dir', { valueEncoding: anyEncoding }))
}

export async function typesThatAreGivenAreBacked<T>(annotated: OpenOptions<string, User>, plain: OpenOptions): Promise<void> {
  is<Spillway<string, string>>()(await Spillway.open<string, string>('dir'))
  is<Spillway<string, string>>()(await Spillway.open<string, string>('dir', { durability: 'disk' }))
  is<Spillway<`user:${string}`, 'on' | 'off'>>()(await Spillway.open<`user:${string}`, 'on' | 'off'>('dir'))
  is<Spillway<string, User>>()(await Spillway.open<string, User>('dir', { valueEncoding: 'json' }))
  is<Spillway<string, T>>()(await Spillway.open<string, T>('dir', { valueEncoding: 'json', budget: 1e8 }))
  is<Spillway<Uint8Array, Uint8Array>>()(await Spillway.open<Uint8Array, Uint8Array>('dir', { keyEncoding: 'buffer', valueEncoding: 'view' }))
  is<Spillway<string, Date>>()(await Spillway.open<string, Date>('dir', { valueEncoding: dates }))
  is<Spillway<any, any>>()(await Spillway.open<any, any>('dir', { valueEncoding: 'buffer' }))
  is<Spillway<string, User>>()(await Spillway.open('dir', annotated))
  is<Spillway<string, string>>()(await Spillway.open('dir', plain))
  const declared: Spillway<string, User> = await Spillway.open('dir', { valueEncoding: 'json' })
  is<Spillway<string, User>>()(declared)

  // @ts-expect-error 'utf8' gives no numbers
  await Spillway.open<string, number>('dir')
  // @ts-expect-error
  await Spillway.open<string, number>('dir', {})
  // @ts-expect-error
  await Spillway.open<string, number>('dir', { budget: '8 MiB' })
  // @ts-expect-error
  await Spillway.open<string, number>('dir', { valueEncoding: undefined })
  // @ts-expect-error
  await Spillway.open<string, number>('dir', { valueEncoding: 'utf8' })
  // @ts-expect-error
  await Spillway.open<number, string>('dir')
  // @ts-expect-error
  await Spillway.open<string, User>('dir', { valueEncoding: 'buffer' })
  // @ts-expect-error 'view' gives no Buffer
  await Spillway.open<string, Buffer>('dir', { valueEncoding: 'view' })
  // @ts-expect-error
  await Spillway.open<string, number>('dir', { valueEncoding: dates })
  // @ts-expect-error a codec that takes numbers only
  await Spillway.open<string, string | number>('dir', { valueEncoding: { encode: (n: number) => String(n), decode: () => 1 } })
  // @ts-expect-error
  await Spillway.open<string, T>('dir', { valueEncoding: 'utf8' })
  // @ts-expect-error
  await Spillway.open<string, T>('dir')
  // @ts-expect-error what is opened as text is no store of numbers
  const numbers: Spillway<string, number> = await Spillway.open('dir')
  // @ts-expect-error
  await Spillway.open('dir', { valueEncoding: 'text' })
  // @ts-expect-error
  await Spillway.open('dir', { budgte: 1e8 })
  // @ts-expect-error
  await Spillway.open('dir', { durability: 'sometimes' })
  void numbers
}

// A class made for any type, as in many programs.
export class Repository<T> {
  #db: Spillway<string, T> | undefined

  async open(): Promise<void> { this.#db = await Spillway.open<string, T>('dir', { valueEncoding: 'json' }) }
  async get(key: string): Promise<T | undefined> { return this.#db?.get(key) }
  async put(key: string, value: T): Promise<void> { await this.#db?.put(key, value, { durability: 'disk' }) }
  async* all(): AsyncGenerator<T> { for await (const [, value] of this.#db!.iterator({ reverse: true })) yield value }
}

// ---- calls

export async function callsInTheEncodingsOfTheStore(db: Spillway<string, User>, snapshot: Snapshot): Promise<void> {
  await db.put('k', { name: 'Ada' }, { durability: 'disk' })
  db.putSync('k', { name: 'Ada' })
  await db.batch([{ type: 'put', key: 'k', value: { name: 'Ada' } }, { type: 'del', key: 'k' }])
  const operations: BatchOperation<string, User>[] = [{ type: 'del', key: 'k' }]
  db.batchSync(operations)
  is<User | undefined>()(await db.get('k'))
  is<User | undefined>()(db.getSync('k', { snapshot }))
  is<(User | undefined)[]>()(await db.getMany(['k'], {}))
  is<(User | undefined)[]>()(db.getManySync(['k']))
  is<boolean>()(await db.has('k'))
  is<SpillwayIterator<[string, User], string>>()(db.iterator())
  is<SpillwayIterator<[string, User], string>>()(db.iterator({ gte: 'a', lt: 'b', reverse: true, limit: 5, snapshot }))
  is<SpillwayIterator<string, string>>()(db.keys({ gt: 'a' }))
  is<SpillwayIterator<User, string>>()(db.values())
  is<Generator<[string, User], void, undefined>>()(db.entriesSync({ lte: 'b' }))
  for await (const [key, user] of db.iterator()) is<string>()(key + user.name)
  for (const user of db.values().entriesSync()) is<User>()(user)
  db.iterator().seek('b')
  is<number>()(await db.count({ gte: 'a', snapshot }))
  is<number>()(await db.approximateSize({ gte: 'a' }))
  await db.deleteRange({ gte: 'a', lt: 'b' })
  await db.compact()

  // @ts-expect-error
  await db.put('k', 'text')
  // @ts-expect-error
  await db.put(1, { name: 'Ada' })
  // @ts-expect-error
  await db.batch([{ type: 'put', key: 'k', value: 5 }])
  // @ts-expect-error
  await db.get(1)
  // @ts-expect-error
  await db.getMany([1])
  // @ts-expect-error
  db.iterator({ gte: 1 })
  // @ts-expect-error
  db.iterator().seek(1)
  // @ts-expect-error
  await db.count({ gte: 1 })
  // @ts-expect-error
  await db.deleteRange({ gte: 1 })
  // @ts-expect-error
  await db.get('k', { snapshto: snapshot })
  // @ts-expect-error
  db.iterator({ revers: true })
  // @ts-expect-error
  await db.put('k', { name: 'Ada' }, { durability: 'sometimes' })
  // @ts-expect-error a type argument of a call is backed by its encoding, too
  await db.get<number>('k')
  // @ts-expect-error counting decodes no values
  await db.count({ valueEncoding: 'json' })
}

export async function callsInEncodingsOfTheirOwn(db: Spillway, snapshot: Snapshot): Promise<void> {
  await db.put('k', { any: 'thing' }, { valueEncoding: 'json', durability: 'none' })
  await db.put(new Uint8Array(1), new Date(), { keyEncoding: 'view', valueEncoding: dates })
  db.putSync('k', Buffer.from('v'), { valueEncoding: 'buffer' })
  await db.del(new Uint8Array(1), { keyEncoding: 'buffer', valueEncoding: 'json' })
  await db.batch([{ type: 'put', key: Buffer.from('k'), value: 5 }], { keyEncoding: 'buffer', valueEncoding: 'json' })
  await db.deleteRange({ gte: new Uint8Array(1) }, { keyEncoding: 'view' })
  is<unknown>()(await db.get('k', { valueEncoding: 'json' }))
  is<Buffer | undefined>()(await db.get('k', { valueEncoding: 'buffer', snapshot }))
  is<Uint8Array | undefined>()(db.getSync('k', { valueEncoding: 'view' }))
  is<Date | undefined>()(db.getSync('k', { valueEncoding: dates }))
  is<string | undefined>()(await db.get(new Date(), { keyEncoding: dates }))
  is<string | undefined>()(await db.get('k', { valueEncoding: undefined }))
  is<string | Buffer | undefined>()(await db.get('k', { valueEncoding: mayBeBuffer }))
  is<unknown>()(await db.get('k', { valueEncoding: anyEncoding }))
  is<number | undefined>()(db.getSync('k', { valueEncoding: { encode: (n: number) => String(n), decode: bytes => bytes.length } }))
  is<(Buffer | undefined)[]>()(await db.getMany(['k'], { valueEncoding: 'buffer' }))
  is<(string | undefined)[]>()(db.getManySync([new Uint8Array(1)], { keyEncoding: 'buffer' }))
  is<boolean>()(db.hasSync(new Uint8Array(1), { keyEncoding: 'view' }))
  is<SpillwayIterator<[Buffer, unknown], Uint8Array>>()(db.iterator({ gte: new Uint8Array(1), keyEncoding: 'buffer', valueEncoding: 'json' }))
  is<SpillwayIterator<Uint8Array, Uint8Array>>()(db.keys({ keyEncoding: 'view', limit: 5 }))
  is<SpillwayIterator<Date, string>>()(db.values({ valueEncoding: dates, snapshot }))
  is<Generator<[string, Buffer], void, undefined>>()(db.entriesSync({ valueEncoding: 'buffer' }))
  is<number>()(await db.count({ gte: new Uint8Array(1), keyEncoding: 'buffer' }))
  is<number>()(await db.approximateSize({ gte: { any: 'thing' }, keyEncoding: 'json' }))
  await db.compact({ lt: new Uint8Array(1), keyEncoding: 'view' })
  const shared = { keyEncoding: 'json', valueEncoding: 'buffer' } as const
  await db.put({ id: 1 }, Buffer.from('v'), shared)
  is<Buffer | undefined>()(await db.get({ id: 1 }, shared))

  // @ts-expect-error
  await db.put('k', 5, { valueEncoding: 'utf8' })
  // @ts-expect-error
  await db.put('k', 'v', { keyEncoding: 'buffer' })
  // @ts-expect-error
  await db.put('k', 5, { valueEncoding: dates })
  // @ts-expect-error
  await db.get('k', { keyEncoding: 'buffer' })
  // @ts-expect-error
  await db.get('k', { valueEncoding: 'text' })
  // @ts-expect-error
  db.iterator({ gte: 'a', keyEncoding: 'buffer' })
  // @ts-expect-error
  db.keys({ keyEncoding: 'buffer' }).seek('a')
  // @ts-expect-error
  await db.count({ gte: 'a', keyEncoding: 'view' })
  // @ts-expect-error
  await db.batch([{ type: 'put', key: 'k', value: 5 }], { valueEncoding: 'buffer' })
  // @ts-expect-error
  await db.deleteRange({ gte: 'a' }, { keyEncoding: 'view' })
}

export async function transactionsLikewise(db: Spillway<string, User>): Promise<void> {
  is<number>()(await db.transaction(async tx => {
    is<Transaction<string, User>>()(tx)
    return 5
  }, { retries: undefined, signal: undefined, durability: undefined }))
  const tx = await db.begin({ durability: 'disk' })
  await tx.put('k', { name: 'Ada' })
  tx.putSync('k', Buffer.from('v'), { valueEncoding: 'buffer' })
  is<User | undefined>()(await tx.get('k'))
  is<User | undefined>()(await tx.getForUpdate('k'))
  is<Buffer | undefined>()(await tx.get('k', { valueEncoding: 'buffer' }))
  is<Date | undefined>()(tx.getSync('k', { valueEncoding: dates }))
  is<unknown>()(tx.getForUpdateSync('k', { valueEncoding: 'json' }))
  is<User | undefined>()(await tx.getForUpdate(new Uint8Array(1), { keyEncoding: 'view' }))
  is<(User | undefined)[]>()(await tx.getMany(['k']))
  is<(string | undefined)[]>()(await tx.getMany(['k'], { valueEncoding: 'utf8' }))
  is<boolean>()(await tx.has(new Uint8Array(1), { keyEncoding: 'buffer' }))
  is<SpillwayIterator<[string, User], string>>()(tx.iterator({ gte: 'a', limit: undefined }))
  is<SpillwayIterator<[Buffer, unknown], Uint8Array>>()(tx.iterator({ keyEncoding: 'buffer', valueEncoding: 'json' }))
  is<Generator<[string, Buffer], void, undefined>>()(tx.entriesSync({ valueEncoding: 'buffer' }))
  await tx.deleteRange({ gte: new Uint8Array(1) }, { keyEncoding: 'view' })
  await tx.del('k')
  await tx.commit()

  // @ts-expect-error
  await tx.put('k', 'text')
  // @ts-expect-error
  await tx.get('k', { keyEncoding: 'buffer' })
  // @ts-expect-error
  tx.iterator({ gte: 1 })
  // @ts-expect-error a transaction has its own snapshot
  tx.iterator({ snapshot: db.snapshot() })
  // @ts-expect-error
  await tx.deleteRange({ gte: 1 })
}

// ---- options

export async function undefinedMeansAbsent(db: Spillway): Promise<void> {
  await Spillway.open('dir', {
    budget: undefined, durability: undefined, createIfMissing: undefined, errorIfExists: undefined, compaction: undefined,
    compression: undefined, blockBytes: undefined, filterBitsPerKey: undefined, keyEncoding: undefined, valueEncoding: undefined,
  })
  await Spillway.open('dir', { compaction: { strategy: 'tiered', sizeRatio: undefined, maxRuns: undefined } })
  await Spillway.open('dir', { compaction: { strategy: 'leveled', multiplier: undefined } })
  await db.put('k', 'v', { durability: undefined, signal: undefined, keyEncoding: undefined, valueEncoding: undefined })
  await db.get('k', { snapshot: undefined, keyEncoding: undefined, valueEncoding: undefined })
  db.iterator({ reverse: undefined, limit: undefined, snapshot: undefined })
  await db.begin({ durability: undefined, signal: undefined })
  const codec: Codec<string> = { name: undefined, encode: text => text, decode: String }
  const read: ReadOptions = { snapshot: undefined }
  const write: WriteOptions = { signal: undefined }
  const range: IteratorOptions<string> = { gte: 'a', limit: undefined }
  await db.get('k', read)
  await db.put('k', 'v', write)
  is<SpillwayIterator<[string, string], string>>()(db.iterator(range))
  void codec
}

// ---- stores among each other

export function storesAreWhatTheyHold(text: Spillway, buffers: Spillway<string, Buffer>, whatever: Spillway<any, any>): void {
  const bytes: Spillway<string, Uint8Array> = buffers
  const all: Spillway<any, any>[] = [text, buffers, bytes]
  const back: Spillway = whatever
  // @ts-expect-error
  const wrong: Spillway<string, Buffer> = text
  // @ts-expect-error
  const wrongKeys: Spillway<Buffer, string> = text
  void [all, back, wrong, wrongKeys]
}
