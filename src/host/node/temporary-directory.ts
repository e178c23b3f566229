/** Where the system keeps temporary files. */
export { tmpdir as temporaryDirectory } from 'node:os'
