#!/usr/bin/env bash
# A guess: under Node's permission model, `--allow-fs-read=* --allow-fs-write=*` lets a program do all it does without the model.
# What happens: fs.fsync, fs.fdatasync and writeFile's `flush` are refused whatever is granted, on a file that the program itself
#   opened and wrote. FileHandle.sync() is let through by Node 20 to 24 and refused by Node 26. Plain writes go through everywhere, so
#   code that ignores an error of fsync runs on without durability.
# Seen with: node 20.20.2, 22.23.3, 24.21.0 and 26.10.0, Linux x64.
# Who meets it: every store that syncs its log, in a program that is run with --permission.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
for version in 20.20.2 22.23.3 24.21.0 26.10.0; do
  npm install --loglevel=error --no-audit --no-fund --prefix "n${version%%.*}" "node@$version" >/dev/null || exit 2
done
cat > try.mjs <<'JS'
import fs from 'node:fs'
const attempt = async (work) => { try { await work(); return 'ok' } catch (error) { return error.code } }
const fd = fs.openSync('log', 'w')
const handle = await fs.promises.open('log', 'r+')
console.log([
  'write ' + await attempt(() => fs.writeSync(fd, 'row')),
  'fsync ' + await attempt(() => fs.fsyncSync(fd)),
  'fdatasync ' + await attempt(() => fs.fdatasyncSync(fd)),
  'flush ' + await attempt(() => fs.writeFileSync('other', 'row', { flush: true })),
  'handle.sync ' + await attempt(() => handle.sync()),
].join(', '))
await handle.close()
JS
changed=0
for major in 20 22 24 26; do
  flag=--permission; [ "$major" = 20 ] && flag=--experimental-permission
  saw=$("./n$major/node_modules/.bin/node" --no-warnings "$flag" '--allow-fs-read=*' '--allow-fs-write=*' try.mjs)
  echo "Node $major: $saw"
  no=ERR_ACCESS_DENIED; handle=ok; [ "$major" = 26 ] && handle=$no
  [ "$saw" = "write ok, fsync $no, fdatasync $no, flush $no, handle.sync $handle" ] || changed=1
done
exit $changed
