export { tmpdir as temporaryDirectory } from 'node:os'
