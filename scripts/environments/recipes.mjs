// The recipes of docs/bundling.md, as they stand there: a section has files, named in their first line, and the commands. The last command
// runs what was made, in a folder where there is nothing else.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export function recipes(page) {
  const found = []
  for (const section of readFileSync(page, 'utf8').split(/^## /m).slice(1)) {
    const name = section.slice(0, section.indexOf('\n')).trim()
    const recipe = { name, files: {}, commands: [] }
    for (const [, language, code] of section.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
      const title = /^\/\/ (\S+)\n/.exec(code)
      if (language === 'sh') recipe.commands.push(...code.trim().split('\n'))
      else if (title !== null) recipe.files[title[1]] = code.slice(title[0].length)
    }
    if (recipe.commands.length < 2) throw new Error(`${page}: "${name}" has no commands`)
    found.push(recipe)
  }
  return found
}

/** Make the program of a recipe in the consumer's folder; returns the folder with it alone, and the command that runs it there. */
export function make({ files, commands }, consumer, target, env) {
  rmSync(join(consumer, 'out'), { recursive: true, force: true })
  mkdirSync(join(consumer, 'out'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(consumer, name), text)
  const script = commands.slice(0, -1).join('\n')
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', script], { cwd: consumer, env, encoding: 'utf8', timeout: 300_000 })
  for (const name of Object.keys(files)) rmSync(join(consumer, name))
  if (status !== 0) throw new Error(`${script}\n${stdout}${stderr}`)
  mkdirSync(target, { recursive: true })
  cpSync(join(consumer, 'out'), join(target, 'out'), { recursive: true })
  return commands.at(-1)
}
