#!/usr/bin/env bash
# Runs all findings, or the ones named, one after the other, and prints a table. With -v the output of each comes before it.
#   findings/run.sh                     all: a quarter of an hour, mostly downloads
#   findings/run.sh -v lmdb-dictionary  one, with what it saw
# Exit code: 0 if all are as described, else 1.
set -euo pipefail
cd "$(dirname "$0")"
verbose=false; if [ "${1:-}" = -v ]; then verbose=true; shift; fi
names=("$@")
if [ ${#names[@]} = 0 ]; then
  for file in *.sh; do [ "$file" = run.sh ] || names+=("${file%.sh}"); done
fi
log=$(mktemp); trap 'rm -f "$log"' EXIT
table=''; worst=0
for name in "${names[@]}"; do
  name=$(basename "$name" .sh); begin=$SECONDS; code=0
  "./$name.sh" >"$log" 2>&1 || code=$?
  case $code in
    0) result='as described' ;;
    1) result='changed' ;;
    2) result='could not be set up' ;;
    *) result="failed, exit code $code" ;;
  esac
  [ $code = 0 ] || worst=1
  if $verbose || [ $code != 0 ]; then echo "== $name"; cat "$log"; echo; fi
  table+=$(printf '%-34s %-22s %4s s' "$name" "$result" $((SECONDS - begin)))$'\n'
done
printf '%s' "$table"
exit $worst
