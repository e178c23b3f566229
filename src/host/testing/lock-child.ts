/** Takes the lock of a directory, says so, and holds it until it is killed or told to release it. */
import { nodeHost } from '../node/node-host.ts'

try {
  const lock = await nodeHost().openDirectory(process.argv[2]!).lock()
  console.log('locked')
  process.stdin.once('data', () => {
    void lock.release().then(() => {
      console.log('released')
      process.exit(0)
    })
  })
} catch (error) {
  console.log((error as Error).message)
}
