// From result lines of several rounds to one result for each workload and store: the median of each number.

/** Map workload -> Map store -> result. A result has the median of every numeric field, `rounds`, and the notes, each once. */
export function mediansOf(lines) {
  const workloads = new Map()
  for (const line of lines) {
    if (line.workload === undefined) continue
    const stores = workloads.get(line.workload) ?? workloads.set(line.workload, new Map()).get(line.workload)
    const some = stores.get(line.store)
    if (some === undefined) stores.set(line.store, [line])
    else some.push(line)
  }
  for (const stores of workloads.values()) {
    for (const [store, some] of stores) stores.set(store, resultOf(some))
  }
  return workloads
}

/** Of an even number the lower one of the two in the middle: a value that was measured. */
export function median(values) {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1]
}

function resultOf(lines) {
  const result = { rounds: lines.length, notes: [...new Set(lines.map(line => line.note).filter(note => note !== undefined))] }
  for (const name of new Set(lines.flatMap(Object.keys))) {
    const values = lines.map(line => line[name]).filter(value => typeof value === 'number')
    if (name !== 'round' && values.length > 0) result[name] = median(values)
    else if (name === 'unit') result.unit = lines[0].unit
  }
  return result
}
