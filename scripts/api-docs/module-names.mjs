// A plugin of TypeDoc: names the modules as they are imported.
import { Converter } from 'typedoc'

const NAMES = { index: 'spillway', collections: 'spillway/collections', toolkit: 'spillway/memory' }

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) module.name = NAMES[module.name] ?? module.name
  })
}
