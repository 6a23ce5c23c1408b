// zeebe-node with OAuth that was not taken out: it finds the proxy as its token endpoint in the environment.
//
// oauth_zeebe_node.js    with ZEEBE_ADDRESS and the variables of the README's table

const assert = require('node:assert')
const { ZBClient } = require('zeebe-node')

async function main() {
  // No retry: what fails is to be seen.
  const client = new ZBClient({ retry: false, loglevel: 'NONE' })
  assert.ok((await client.topology()).brokers.length > 0)
  console.log('ok    zeebe-node with OAuth: topology')
  await client.close()
}

main().then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})
