/** The worker's program, bundled by `scripts/build.mjs` (`worker-code.ts`). */
import { serveJobs } from '../host/node/worker.ts'
import { jobs } from './jobs.ts'

serveJobs({ jobs })
