// gRPC's interop cases by @grpc/grpc-js, that is Node's own HTTP/2.
//
// client.js PORT [AUTHORITY.pem]
//
// Prints `CASE ok`, or `CASE failed` and why.

const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const grpc = require('@grpc/grpc-js')
const protocol = require('@grpc/proto-loader').loadSync(path.join(__dirname, 'interop.proto'), { keepCase: true })
const { TestService, UnimplementedService } = grpc.loadPackageDefinition(protocol).grpc.testing

const [port, authority] = process.argv.slice(2)
const credentials = authority
  ? grpc.credentials.createSsl(fs.readFileSync(authority))
  : grpc.credentials.createInsecure()

// The sizes that the published cases name.
const LARGE_REQUEST = 271828
const LARGE_ANSWER = 314159
const REQUESTS = [27182, 8, 1828, 45904]
const ANSWERS = [31415, 9, 2653, 58979]

const payload = (size) => ({ body: Buffer.alloc(size) })
const large = (more) => ({ response_size: LARGE_ANSWER, payload: payload(LARGE_REQUEST), ...more })
const turn = (index) => ({ response_parameters: [{ size: ANSWERS[index] }], payload: payload(REQUESTS[index]) })
const patience = () => ({ deadline: Date.now() + 20000 })

// Answers of a call, what came before and after them, and how it ended.
const outcome = (call) => new Promise((resolve) => {
  const seen = { answers: [] }
  call.on('metadata', (metadata) => { seen.head = metadata })
  call.on('data', (answer) => seen.answers.push(answer))
  call.on('error', () => {})
  call.on('status', (status) => resolve({ ...seen, ...status }))
})
const unary = (client, method, request, metadata = new grpc.Metadata(), options = patience()) => new Promise((resolve) => {
  const seen = {}
  const call = client[method](request, metadata, options, (_error, answer) => { seen.answer = answer })
  call.on('metadata', (head) => { seen.head = head })
  call.on('status', (status) => setImmediate(() => resolve({ ...seen, ...status })))
})
const well = (seen) => { assert.equal(seen.code, grpc.status.OK, seen.details); return seen }
const sizes = (answers) => answers.map((answer) => answer.payload.body.length)

async function largeUnary(client, more) {
  assert.equal(well(await unary(client, 'UnaryCall', large(more))).answer.payload.body.length, LARGE_ANSWER)
}

async function serverStreaming(client, compressed) {
  const response_parameters = ANSWERS.map((size, index) => ({ size, ...(compressed && { compressed: { value: index % 2 === 0 } }) }))
  assert.deepEqual(sizes(well(await outcome(client.StreamingOutputCall({ response_parameters }, patience()))).answers), ANSWERS)
}

const clientStreaming = (client) => new Promise((resolve, reject) => {
  const call = client.StreamingInputCall(patience(), (error, answer) => (error ? reject(error) : resolve(answer)))
  for (const size of REQUESTS) call.write({ payload: payload(size) })
  call.end()
}).then((answer) => assert.equal(answer.aggregated_payload_size, REQUESTS.reduce((sum, size) => sum + size)))

async function statusMessage(client, message, streamed) {
  const response_status = { code: 2, message }
  const refused = (seen) => assert.deepEqual([seen.code, seen.details], [2, message])
  refused(await unary(client, 'UnaryCall', { response_status }))
  if (!streamed) return
  const call = client.FullDuplexCall(patience())
  call.end({ response_status })
  refused(await outcome(call))
}

const CASES = {
  async empty_unary(client) { well(await unary(client, 'EmptyCall', {})) },
  large_unary: (client) => largeUnary(client),
  async server_compressed_unary(client) {
    await largeUnary(client, { response_compressed: { value: true } })
    await largeUnary(client, { response_compressed: { value: false } })
  },
  client_streaming: (client) => clientStreaming(client),
  server_streaming: (client) => serverStreaming(client, false),
  server_compressed_streaming: (client) => serverStreaming(client, true),
  async ping_pong(client) {
    const call = client.FullDuplexCall(patience())
    const seen = outcome(call)
    let next = 0
    call.write(turn(next))
    call.on('data', () => { next += 1; if (next < ANSWERS.length) call.write(turn(next)); else call.end() })
    assert.deepEqual(sizes(well(await seen).answers), ANSWERS)
  },
  async empty_stream(client) {
    const call = client.FullDuplexCall(patience())
    call.end()
    assert.equal(well(await outcome(call)).answers.length, 0)
  },
  async custom_metadata(client) {
    const metadata = new grpc.Metadata()
    metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value')
    metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from('ababab', 'hex'))
    const echoed = (seen) => {
      well(seen)
      assert.deepEqual(seen.head.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value'])
      assert.deepEqual(seen.metadata.get('x-grpc-test-echo-trailing-bin'), [Buffer.from('ababab', 'hex')])
    }
    echoed(await unary(client, 'UnaryCall', large(), metadata))
    const call = client.FullDuplexCall(metadata, patience())
    call.end(turn(0))
    echoed(await outcome(call))
  },
  status_code_and_message: (client) => statusMessage(client, 'test status message', true),
  special_status_message: (client) =>
    statusMessage(client, '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n', false),
  async unimplemented_method(client) {
    assert.equal((await unary(client, 'UnimplementedCall', {})).code, grpc.status.UNIMPLEMENTED)
  },
  async unimplemented_service(client) {
    const other = new UnimplementedService(`localhost:${port}`, credentials)
    assert.equal((await unary(other, 'UnimplementedCall', {})).code, grpc.status.UNIMPLEMENTED)
    other.close()
  },
  async cancel_after_begin(client) {
    const code = await new Promise((resolve) => {
      client.StreamingInputCall(patience(), (error) => resolve(error && error.code)).cancel()
    })
    assert.equal(code, grpc.status.CANCELLED)
  },
  async cancel_after_first_response(client) {
    const call = client.FullDuplexCall(patience())
    const seen = outcome(call)
    call.write(turn(0))
    call.once('data', () => call.cancel())
    assert.equal((await seen).code, grpc.status.CANCELLED)
  },
  async timeout_on_sleeping_server(client) {
    const call = client.FullDuplexCall({ deadline: Date.now() + 1 })
    const seen = outcome(call)
    call.write({ payload: payload(REQUESTS[0]) })
    assert.equal((await seen).code, grpc.status.DEADLINE_EXCEEDED)
  },
}
// What a client compresses is a setting of the whole channel here.
const COMPRESSED = { client_compressed_unary: (client) => largeUnary(client), client_compressed_streaming: clientStreaming }

async function main() {
  for (const [name, run] of [...Object.entries(CASES), ...Object.entries(COMPRESSED)]) {
    const options = name in COMPRESSED ? { 'grpc.default_compression_algorithm': 2 } : {}
    const client = new TestService(`localhost:${port}`, credentials, options)
    try {
      await run(client)
      console.log(name, 'ok')
    } catch (error) {
      console.log(name, 'failed', String(error).replace(/\s+/g, ' '))
    }
    client.close()
  }
}

main().then(() => process.exit(0))
