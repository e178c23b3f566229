// How programs use the types of the collections; see store.ts.
import { SpillMap, SpillQueue, SpillSet, externalSort, groupBy } from 'spillway/collections'
import type { Codec, SpillMapOptions } from 'spillway/collections'
import { is } from './is.ts'

interface User { name: string }
declare const dates: Codec<Date>

declare function takesMap(map: Map<string, number>): void
declare function takesReadonlyMap(map: ReadonlyMap<string, number>): void
declare function takesSet(set: Set<string>): void
declare function takesReadonlySet(set: ReadonlySet<string>): void

// ---- in the place of Map and Set, whatever the libraries have

export function standsInForMap(map: SpillMap<string, number>, set: SpillSet<string>): void {
  takesMap(map)
  takesReadonlyMap(map)
  takesSet(set)
  takesReadonlySet(set)
  const users: ReadonlyMap<string, User> = new SpillMap<string, User>([['ada', { name: 'Ada' }]], { budget: '8 MiB' })
  const members: Set<string | number> = new SpillSet<string | number>(['a', 1])
  // @ts-expect-error
  takesMap(set)
  // @ts-expect-error
  takesMap(new SpillMap<string, string>())
  // @ts-expect-error
  takesReadonlySet(new SpillSet<number>())
  void [users, members]
}

export function methodsAreThoseOfMap(map: SpillMap<string, number>, set: SpillSet<string>): void {
  is<number | undefined>()(map.get('a'))
  is<SpillMap<string, number>>()(map.set('a', 1).set('b', 2))
  for (const [key, value] of map) is<string>()(key + value.toFixed())
  for (const value of map.values({ gte: 'a', reverse: true })) is<number>()(value)
  map.forEach((value, key, self) => { is<string>()(key + value.toFixed() + self.size) })
  is<number>()(map.getOrInsert('a', 1))
  is<number>()(map.getOrInsertComputed('a', key => key.length))
  is<[string, number][]>()([...map.entries()])
  const copy = new Map(map)
  is<Map<string, number>>()(copy)
  is<Set<string | number>>()(set.union(new Set([1])))
  is<Set<string>>()(set.difference(new Set<unknown>()))
  is<Set<string>>()(set.intersection(set))
  is<boolean>()(set.isSubsetOf(map))
  class Counts extends SpillMap<string, number> {
    override get(key: string): number { return super.get(key) ?? 0 }
    override* [Symbol.iterator](): ReturnType<Map<string, number>['entries']> { yield* super.entries() }
    override get [Symbol.toStringTag](): string { return 'Counts' }
  }
  is<number>()(new Counts().get('a'))

  // @ts-expect-error
  map.set('a', 'text')
  // @ts-expect-error
  map.get(1)
  // @ts-expect-error
  map.entries({ gte: 1 })
  // @ts-expect-error
  set.add(1)
}

// ---- types and encodings

export function typesAreBacked(): void {
  is<SpillMap<string, number>>()(new SpillMap([['a', 1]]))
  is<SpillMap<string, User>>()(new SpillMap<string, User>())
  is<SpillMap<string, User>>()(new SpillMap<string, User>({ keyEncoding: 'utf8', valueEncoding: 'json' }))
  is<SpillMap<Uint8Array, Buffer>>()(new SpillMap<Uint8Array, Buffer>({ keyEncoding: 'view', valueEncoding: 'buffer' }))
  is<SpillMap<any, Date>>()(new SpillMap({ valueEncoding: dates }))
  is<SpillSet<Date>>()(new SpillSet<Date>({ keyEncoding: dates, order: 'key' }))
  is<SpillMap<unknown, unknown>>()(new SpillMap<unknown, unknown>({ keyEncoding: 'utf8' }))
  is<SpillQueue<unknown>>()(new SpillQueue({ encoding: 'utf8' }))
  is<SpillQueue<string>>()(new SpillQueue<string>({ encoding: 'utf8' }))
  is<SpillQueue<User>>()(new SpillQueue<User>())
  // @ts-expect-error
  void new SpillMap<string, number>({ valueEncoding: 'utf8' })
  // @ts-expect-error
  void new SpillMap<string, User>({ valueEncoding: 'buffer' })
  // @ts-expect-error
  void new SpillMap<number, User>({ keyEncoding: 'utf8' })
  // @ts-expect-error
  void new SpillMap([['a', 1]], { valueEncoding: 'utf8' })
  // @ts-expect-error
  void new SpillMap<string, number>({ valueEncoding: dates })
  // @ts-expect-error
  void new SpillSet<number>({ keyEncoding: 'view' })
  // @ts-expect-error
  void new SpillQueue<number>({ encoding: 'utf8' })
  // @ts-expect-error
  void new SpillMap({ budgte: 5 })
}

export class Index<T> {
  readonly #map = new SpillMap<string, T>({ valueEncoding: 'json' })
  get(key: string): T | undefined { return this.#map.get(key) }
}

export async function sortsAndGroups(users: AsyncIterable<User>, buffers: Iterable<Buffer>): Promise<void> {
  for await (const user of externalSort(users, { by: one => one.name, encoding: 'json' })) is<User>()(user)
  for await (const buffer of externalSort(buffers, { encoding: 'buffer' })) is<Buffer>()(buffer)
  for await (const [name, group] of groupBy(users, { by: one => one.name, encoding: undefined })) for (const user of group) is<string>()(name + user.name)
  // @ts-expect-error
  externalSort(users, { by: one => one.name, encoding: 'utf8' })
  // @ts-expect-error
  externalSort(buffers, { encoding: 'view' })
  // @ts-expect-error
  groupBy(users, { by: one => one.name, encoding: 'buffer' })
}

// ---- options

export function undefinedMeansAbsent(options: SpillMapOptions<string, number>): void {
  void new SpillMap<string, number>({ budget: undefined, directory: undefined, order: undefined, keyEncoding: undefined, valueEncoding: undefined })
  void new SpillSet<string>({ budget: undefined, keyEncoding: undefined })
  void new SpillQueue<string>({ budget: undefined, directory: undefined, encoding: undefined })
  void new SpillMap<string, number>(undefined, options)
  new SpillMap<string, number>(options).entries({ reverse: undefined })
  new SpillMap<string, number>(options).entries(undefined)
}
