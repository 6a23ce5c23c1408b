// zeebe-node as its users write it, without a word about authentication.
// zeebe_node_client.js HOST:PORT FOLDER    FOLDER holds zeebe-node.bpmn

const assert = require('node:assert')
const { ZBClient } = require('zeebe-node')

const [address, folder] = process.argv.slice(2)
const name = 'zeebe-node'
const fact = (text) => console.log(`ok    zeebe-node: ${text}`)

async function main() {
  // No retry: what fails is to be seen.
  const client = new ZBClient(address, { retry: false, loglevel: 'ERROR' })
  const topology = await client.topology()
  assert.ok(topology.brokers.length > 0)
  fact(`topology: gateway ${topology.gatewayVersion}`)

  const deployed = await client.deployResource({ processFilename: `${folder}/${name}.bpmn` })
  assert.strictEqual(deployed.deployments.length, 1)
  fact('deployed')

  client.createWorker({
    taskType: name,
    taskHandler: (job) => job.complete({ doubled: job.variables.number * 2 }),
  })
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, number) =>
      client.createProcessInstanceWithResult({ bpmnProcessId: name, variables: { number }, requestTimeout: 30000 })
    )
  )
  results.forEach((result, number) => assert.strictEqual(result.variables.doubled, 2 * number))
  fact('20 instances completed by the polling worker')
  await client.close()
}

setTimeout(() => { console.error('zeebe-node: not finished after 90 s'); process.exit(1) }, 90000).unref()
main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })
