#!/usr/bin/env bash
# A guess: an abstract UNIX socket is a good lock. Only one process can listen on a name, and it goes away with its owner.
# What happens: Node 20 pads the name with zeros to 108 bytes, Node 22 and later bind the name as long as it is. To the kernel the
#   same text is two names, so a process on Node 20 and one on Node 22 both hold "the" lock. Names of exactly 108 bytes do exclude.
# Seen with: node 20.20.2 and 22.23.3, Linux x64.
# Who meets it: who takes a lock on a directory by a socket name, and upgrades Node one process at a time.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund --prefix n20 node@20.20.2 >/dev/null || exit 2
npm install --loglevel=error --no-audit --no-fund --prefix n22 node@22.23.3 >/dev/null || exit 2
cat > hold.cjs <<'JS'
const net = require('node:net')
const server = net.createServer()
server.on('error', (error) => { process.send(error.code); process.disconnect() })
server.listen('\0' + process.argv[2], () => process.send('has the lock'))
process.on('disconnect', () => process.exit())
JS
cat > see.cjs <<'JS'
const { fork } = require('node:child_process')
const hold = (major, name) => new Promise((resolve) => {
  const child = fork('./hold.cjs', [name], { execPath: `./n${major}/node_modules/.bin/node` })
  child.on('message', (answer) => resolve({ answer, child }))
})
async function pair(label, name, a, b) {
  const first = await hold(a, name)
  const second = await hold(b, name)
  console.log(`${label}: Node ${a} ${first.answer}; Node ${b} ${second.answer}`)
  for (const { child } of [first, second]) if (child.connected) child.disconnect()
  return second.answer
}
async function main() {
  const name = 'findings-' + process.pid
  const same = await pair('same version', name + '-a', 22, 22)
  const mixed = await pair('two versions', name + '-b', 20, 22)
  const full = await pair('two versions, name of 108 bytes', (name + '-c').padEnd(107, '.'), 20, 22)
  process.exit(same === 'EADDRINUSE' && mixed === 'has the lock' && full === 'EADDRINUSE' ? 0 : 1)
}
main()
JS
node see.cjs
