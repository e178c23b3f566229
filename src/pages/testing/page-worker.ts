/** A worker of the page jobs alone. */
import { serveJobs } from '../../host/node/worker.ts'
import * as module from '../page-jobs.ts'

serveJobs(module)
