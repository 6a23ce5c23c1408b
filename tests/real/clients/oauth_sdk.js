// @camunda8/sdk with OAuth that was not taken out: the proxy is its token endpoint, and takes any id and secret.
//
// oauth_sdk.js HOST:PORT REST-URL

const assert = require('node:assert')

const [address, rest] = process.argv.slice(2)
const { Camunda8 } = require('@camunda8/sdk')
const fact = (text) => console.log(`ok    @camunda8/sdk with OAuth: ${text}`)

const camunda = new Camunda8({
  CAMUNDA_AUTH_STRATEGY: 'OAUTH',
  CAMUNDA_OAUTH_URL: `${rest}/oauth/token`,
  ZEEBE_CLIENT_ID: 'any-id',
  ZEEBE_CLIENT_SECRET: 'any-secret',
  CAMUNDA_TOKEN_DISK_CACHE_DISABLE: true,
  ZEEBE_GRPC_ADDRESS: `grpc://${address}`,
  ZEEBE_REST_ADDRESS: rest,
  CAMUNDA_OPERATE_BASE_URL: `${rest}/operate`,
  CAMUNDA_LOG_LEVEL: 'none',
  // No retry: what fails is to be seen.
  zeebeGrpcSettings: { ZEEBE_CLIENT_LOG_LEVEL: 'NONE', ZEEBE_GRPC_CLIENT_RETRY: false },
})

async function main() {
  const client = camunda.getZeebeGrpcApiClient()
  assert.ok((await client.topology()).brokers.length > 0)
  await client.close()
  fact('gRPC topology')
  assert.ok((await camunda.getCamundaRestClient().getTopology()).brokers.length > 0)
  fact('REST topology')
  await camunda.getOperateApiClient().searchProcessInstances({})
  fact('Operate search')
}

main().then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})
