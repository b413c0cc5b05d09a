// Evaluate AWS requests against policies: a JSON list of simulations on stdin, a list of results on stdout.
// The evaluator is @cloud-copilot/iam-simulate, named by its folder as the first argument.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { runSimulation } = createRequire(process.argv[2] + '/')('@cloud-copilot/iam-simulate')
const results = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const found = await runSimulation(simulation, {})
  results.push(found.overallResult ?? JSON.stringify(found))
}
console.log(JSON.stringify(results))
