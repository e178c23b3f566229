#!/usr/bin/env bash
# A guess: `fs.appendFileSync(path, row, { flush: true })` reaches the device before it returns, on Bun as on Node, since Bun's
#   writeFileSync with the same option does.
# What happens: Bun appends without fsync and without an error. Its writeFileSync syncs; Node and Deno sync both.
# Seen with: bun 1.4.5, deno 2.9.6 and node 24.21.0, Linux x64. Needs strace, which shows the system calls.
# Who meets it: a log or journal that is appended to with `flush` and moved to Bun: acknowledged rows are not durable.
set -euo pipefail
command -v strace >/dev/null || { echo 'needs strace'; exit 2; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund --prefix n24 node@24.21.0 >/dev/null || exit 2
npm install --loglevel=error --no-audit --no-fund bun@1.4.5 deno@2.9.6 >/dev/null || exit 2
bin=node_modules/.bin
cat > append.cjs <<'JS'
require('node:fs').appendFileSync('target.log', 'row\n', { flush: true })
JS
cat > write.cjs <<'JS'
require('node:fs').writeFileSync('target.log', 'row\n', { flush: true })
JS
# Counts the fsync and fdatasync calls between the opening of target.log and the end of the process.
syncs() {
  strace -f -e trace=openat,fsync,fdatasync,close -o trace.txt "$@" >/dev/null 2>&1
  awk '/openat\(.*target\.log/ { split($0, parts, " = "); fd = parts[2] + 0; open = 1; next }
    open && $0 ~ "(fsync|fdatasync)\\(" fd "[ )]" { count++ }
    open && $0 ~ "close\\(" fd "[ )]" { open = 0 }
    END { print count + 0 }' trace.txt
}
changed=0
for job in write append; do
  node=$(syncs n24/node_modules/.bin/node $job.cjs); bun=$(syncs "$bin/bun" $job.cjs); deno=$(syncs "$bin/deno" run -A $job.cjs)
  echo "${job}FileSync with flush, fsync calls: Node $node, Deno $deno, Bun $bun"
  want=1; [ $job = append ] && want=0
  [ "$node" = 1 ] && [ "$bun" = $want ] || changed=1
done
exit $changed
