#!/usr/bin/env bash
# A guess: an open LevelDB directory is locked until it is closed; to copy the directory, as a backup does, only reads it.
# What happens: LevelDB holds its LOCK file by fcntl. Such a lock belongs to the process and is dropped when the process closes ANY
#   descriptor of that file, so copying the directory from inside the process that has it open ends the lock, without an error.
#   A second process then opens the same store. The first goes on writing, its writes are acknowledged, and are gone afterwards.
# Seen with: classic-level 3.0.0, node 20.20.2, Linux x64.
# Who meets it: a server that copies its own data directory by fs.cp while it runs, with a second process that tries to open it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund classic-level@3.0.0 >/dev/null || exit 2
cat > other.mjs <<'JS'
import { ClassicLevel } from 'classic-level'
const db = new ClassicLevel('store')
try {
  await db.open()
  await db.put('of the other', '1')
  await db.close()
  console.log('opened it and wrote')
} catch (error) {
  console.log(error.cause?.code ?? error.code)
}
JS
cat > see.mjs <<'JS'
import fs from 'node:fs'
import { execFileSync } from 'node:child_process'
import { ClassicLevel } from 'classic-level'
const other = () => execFileSync(process.execPath, ['other.mjs'], { encoding: 'utf8' }).trim()
const db = new ClassicLevel('store')
await db.put('before', '1')
const locked = other()
console.log('another process before the copy:', locked)
fs.cpSync('store', 'copy', { recursive: true })
const unlocked = other()
console.log('another process after the copy:', unlocked)
await db.put('after', '1')
await db.close()
const again = new ClassicLevel('store')
const keys = await again.keys().all()
await again.close()
console.log('keys in the end:', keys.join(', '), keys.includes('after') ? '' : '("after" was acknowledged and is gone)')
process.exitCode = locked === 'LEVEL_LOCKED' && unlocked === 'opened it and wrote' && !keys.includes('after') ? 0 : 1
JS
node see.mjs
