// @camunda8/sdk as its users write it. With CAMUNDA_AUTH_STRATEGY=NONE it sends an empty `authorization` field with
// every call, gRPC and REST, which the proxy has to replace.
//
// sdk_client.js HOST:PORT REST-URL FOLDER [web]
//   FOLDER holds sdk-polled.bpmn, sdk-streamed.bpmn and sdk-rest.bpmn; `web` adds Operate, Tasklist and Optimize.

const assert = require('node:assert')

const [address, rest, folder, web] = process.argv.slice(2)
const { Camunda8 } = require('@camunda8/sdk')
const fact = (text) => console.log(`ok    @camunda8/sdk: ${text}`)
const numbers = Array.from({ length: 20 }, (_, number) => number)

const camunda = new Camunda8({
  CAMUNDA_AUTH_STRATEGY: 'NONE',
  ZEEBE_GRPC_ADDRESS: `grpc://${address}`,
  ZEEBE_REST_ADDRESS: rest,
  CAMUNDA_OPERATE_BASE_URL: `${rest}/operate`,
  CAMUNDA_TASKLIST_BASE_URL: `${rest}/tasklist`,
  CAMUNDA_OPTIMIZE_BASE_URL: `${rest}/optimize`,
  CAMUNDA_LOG_LEVEL: 'none',
  // No retry: what fails is to be seen.
  zeebeGrpcSettings: { ZEEBE_CLIENT_LOG_LEVEL: 'NONE', ZEEBE_GRPC_CLIENT_RETRY: false },
})

async function grpc() {
  const client = camunda.getZeebeGrpcApiClient()
  const topology = await client.topology()
  assert.ok(topology.brokers.length > 0)
  fact(`gRPC topology: gateway ${topology.gatewayVersion}`)

  for (const name of ['sdk-polled', 'sdk-streamed']) {
    const deployed = await client.deployResource({ processFilename: `${folder}/${name}.bpmn` })
    assert.strictEqual(deployed.deployments.length, 1)
    fact(`gRPC ${name}: deployed`)
    const taskHandler = (job) => job.complete({ doubled: job.variables.number * 2 })
    let stream
    if (name === 'sdk-polled') {
      client.createWorker({ taskType: name, taskHandler })
    } else {
      stream = await client.streamJobs({ type: name, worker: name, timeout: 30000, tenantIds: [], taskHandler })
      // The broker hears of the stream from the gateway; an earlier job would only be found by the poll beside it.
      await new Promise((resolve) => setTimeout(resolve, 2000))
    }
    const results = await Promise.all(numbers.map((number) =>
      client.createProcessInstanceWithResult({ bpmnProcessId: name, variables: { number }, requestTimeout: 30000 })))
    results.forEach((result, number) => assert.strictEqual(Number(result.variables.doubled), 2 * number))
    fact(`gRPC ${name}: 20 instances completed by the worker`)
    stream?.close()
  }
  await client.close()
}

async function overRest() {
  const client = camunda.getCamundaRestClient()
  const name = 'sdk-rest'
  const topology = await client.getTopology()
  assert.ok(topology.brokers.length > 0)
  fact(`REST topology: gateway ${topology.gatewayVersion}`)

  // A multipart body.
  const deployed = await client.deployResourcesFromFiles([`${folder}/${name}.bpmn`])
  assert.ok(deployed.deploymentKey)
  fact('REST deployed')

  // A long poll that is held before there is a job, then answered.
  const activation = client.activateJobs({ type: name, worker: name, timeout: 30000, maxJobsToActivate: 1, requestTimeout: 20000 })
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const created = await client.createProcessInstance({ processDefinitionId: name, variables: { number: 21 } })
  assert.ok(created.processInstanceKey)
  fact('REST instance created')
  const jobs = await activation
  assert.strictEqual(jobs.length, 1)
  fact('REST held long poll answered with the job')
  // `key` up to 8.7, `jobKey` from 8.8 on.
  await client.completeJob({ jobKey: String(jobs[0].jobKey ?? jobs[0].key), variables: { doubled: 42 } })
  fact('REST job completed')
}

async function webapps() {
  await camunda.getOperateApiClient().searchProcessInstances({})
  fact('Operate: process instances searched')
  await camunda.getTasklistApiClient().searchTasks({})
  fact('Tasklist: tasks searched')
}

setTimeout(() => { console.error('@camunda8/sdk: not finished after 120 s'); process.exit(1) }, 120000).unref()
grpc().then(overRest).then(() => web && webapps())
  .then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })
