/** A worker with the page jobs only. */
import { serveJobs } from '../../host/node/worker.ts'
import * as module from '../page-jobs.ts'

serveJobs(module)
