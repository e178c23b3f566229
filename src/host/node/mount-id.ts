/**
 * Identifies a mount of a file system within a boot of the machine: unsynced writes are lost when either ends.
 *
 * The boot id does not change when a volume is detached and attached again. On Linux, sysfs has a directory for each block device and, for
 * the common file systems, one for each mounted instance. Their inode numbers are given in sequence, so they identify this attachment of
 * the device and this mount of the file system, the same through all paths, bind mounts and containers. Mount ids
 * (`/proc/self/mountinfo`) would not do: they are reused, and differ between containers.
 *
 * Without such directories (btrfs, network file systems, no /sys) it is the boot id alone; without a boot id '', unknown.
 */
import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { bootId } from './limits.ts'

/** `device`: `dev` of a file on it. */
export function mountId(device: bigint): string {
  const boot = bootId()
  if (boot === '' || process.platform !== 'linux') return boot
  return [boot, ...numbersOf(device)].join(' ')
}

function numbersOf(device: bigint): string[] {
  const block = `/sys/dev/block/${major(device)}:${minor(device)}`
  try {
    const name = basename(readlinkSync(block))
    const fileSystems = readdirSync('/sys/fs').map(type => [type, numberOf(`/sys/fs/${type}/${name}`)] as const)
    return [`device:${numberOf(`${block}/`)}`, ...fileSystems.filter(([, number]) => number !== undefined).map(([type, number]) => `${type}:${number}`)]
  } catch {
    // No block device, or sysfs is not visible.
    return []
  }
}

function numberOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}

function major(device: bigint): bigint {
  return ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)
}

function minor(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & 0xffffff00n)
}
