// Says which peers the node that runs this can load: one compiled for another version of it cannot. Prints one line of JSON.
import { PEERS } from '../memory/peers.mjs'
import { fromPeers } from '../memory/subjects/from-peers.mjs'

const MAX_CHARACTERS = 300
const peers = []
for (const name of PEERS) {
  try {
    const { ClassicLevel, open, default: Database } = await fromPeers(name)
    // Only a first use loads the native part of this one.
    if (name === 'better-sqlite3') new Database(':memory:').close()
    if (ClassicLevel === undefined && open === undefined && Database === undefined) throw new Error(`${name} exports nothing known`)
    peers.push({ name })
  } catch (error) {
    peers.push({ name, problem: error.message.replace(/\s+/g, ' ').slice(0, MAX_CHARACTERS) })
  }
}
console.log(JSON.stringify(peers))
