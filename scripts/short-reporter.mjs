// A test reporter for logs: failures in full, then node's closing lines ("# tests 12", "# pass 12", ...). Nothing else.
import { inspect } from 'node:util'

export default async function* shortReporter(source) {
  for await (const { type, data } of source) {
    if (type === 'test:fail') {
      const { error } = data.details
      // A parent fails because a child did; the child was reported.
      if (error?.failureType === 'subtestsFailed' || data.todo !== undefined) continue
      const place = data.file ? ` (${data.file}${data.line ? `:${data.line}` : ''})` : ''
      yield `not ok - ${data.name}${place}\n${indent(inspect(error?.cause ?? error))}\n`
    } else if (type === 'test:stderr') {
      yield data.message
    } else if (type === 'test:diagnostic') {
      yield `# ${data.message}\n`
    }
  }
}

function indent(text) {
  return text.replace(/^/gm, '    ')
}
