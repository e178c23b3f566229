/** Whether a directory may be used by another machine or kernel at the same time. */
import { statfsSync } from 'node:fs'

/** Linux file systems that reach beyond this kernel, by `statfs` magic number. */
const REMOTE = new Set([
  0x6969, // NFS
  0xff534d42, // CIFS
  0xfe534d42, // SMB 2 and later
  0x517b, // SMB
  0x01021997, // 9P
  0x65735546, // FUSE: sshfs, GlusterFS, virtiofs and the shared folders of desktop containers
  0x00c36400, // Ceph
  0x0bd00bd0, // Lustre
  0x47504653, // GPFS
  0x7461636f, // OCFS2
  0x01161970, // GFS2
  0x5346414f, // AFS
  0x6b414653, // AFS of the kernel
  0x786f4256, // VirtualBox shared folders
  0xbacbacbc, // VMware shared folders
])

/** False where the system does not say (only Linux does). */
export function mayBeRemote(directory: string): boolean {
  if (process.platform !== 'linux') return false
  try {
    return REMOTE.has(Number(statfsSync(directory).type) >>> 0)
  } catch {
    return true
  }
}
