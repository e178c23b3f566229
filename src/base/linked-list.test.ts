import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Member, LinkedList } from './linked-list.ts'

test('members are as those of a Set: whatever comes and goes, in the order of coming', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9)), { maxLength: 60 }), steps => {
    const all = Array.from({ length: 10 }, (_, i) => new Member(i))
    const members = new LinkedList<number>()
    const set = new Set<number>()
    for (const [comes, i] of steps) {
      if (comes) {
        members.add(all[i]!)
        set.add(i)
      } else {
        members.delete(all[i]!)
        set.delete(i)
      }
      assert.deepEqual(members.list(), [...set])
      assert.equal(members.size, set.size)
      assert.equal(members.first?.value, [...set][0])
    }
  }), { seed: 20261121 })
})

test('who is gone leads nowhere', () => {
  const members = new LinkedList<string>()
  const some = ['a', 'b', 'c'].map(name => new Member(name))
  for (const member of some) members.add(member)
  members.delete(some[1]!)
  assert.deepEqual(some[1], new Member('b'))
  members.delete(some[0]!)
  members.delete(some[2]!)
  for (const member of some) assert.deepEqual(member, new Member(member.value))
  assert.equal(members.first, undefined)
})

test('no element is a member of two lists', () => {
  const member = new Member(1)
  new LinkedList<number>().add(member)
  assert.throws(() => { new LinkedList<number>().add(member) }, /added to another/)
})
