/** The worker of the jobs for tests. */
import { serveJobs } from '../node/worker.ts'
import * as module from './jobs.ts'

serveJobs(module)
