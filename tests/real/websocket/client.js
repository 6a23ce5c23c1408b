// WebSocket by the `ws` package, through the proxy: every size of frame, fragments, pings and ends, both ways.
//
// client.js URL NAME [AUTHORITY.pem]

const assert = require('node:assert')
const crypto = require('node:crypto')
const fs = require('node:fs')
const { once } = require('node:events')
const WebSocket = require('ws')

const [url, name, authority] = process.argv.slice(2)
const ca = authority && fs.readFileSync(authority)
const fact = (text) => console.log(`ok    WebSocket, ${name}: ${text}`)

async function open(options = {}) {
  const socket = new WebSocket(url, ['first', 'second'], { ca, perMessageDeflate: false, ...options })
  await once(socket, 'open')
  return socket
}

async function ask(socket, message, options) {
  const answered = once(socket, 'message')
  socket.send(message, options)
  const [answer, binary] = await answered
  return binary ? answer : String(answer)
}

async function end(socket) {
  const closed = once(socket, 'close')
  socket.close(1000)
  await closed
}

// How the last connection ended, as the server saw it. It may see it a moment after us.
async function seen(expected) {
  const limit = Date.now() + 10000
  for (;;) {
    const socket = await open()
    const answer = await ask(socket, '!seen')
    socket.terminate()
    if (answer === expected) return
    assert.ok(Date.now() < limit, `${answer} instead of ${expected}`)
  }
}

async function main() {
  let socket = await open()
  assert.equal(socket.protocol, 'second')
  fact('opened with a token, and the subprotocol that the server chose')

  for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20]) {
    const bytes = crypto.randomBytes(size)
    assert.ok(bytes.equals(await ask(socket, bytes)), `${size} bytes`)
    const text = 'é'.repeat(size / 2)
    assert.equal(await ask(socket, text), text)
  }
  fact('binary and text frames of 0 bytes to 16 MiB come back as they were')

  const answered = once(socket, 'message')
  socket.send('in ', { fin: false })
  socket.ping()
  socket.send('three ', { fin: false })
  socket.send('fragments', { fin: true })
  assert.equal(String((await answered)[0]), 'in three fragments')
  fact('fragments, with a ping between them')

  const pong = once(socket, 'pong')
  socket.ping('from the caller')
  assert.equal(String((await pong)[0]), 'from the caller')
  const ping = once(socket, 'ping')
  assert.equal(await ask(socket, '!ping'), 'pong has come')
  assert.equal(String((await ping)[0]), 'from upstream')
  fact('pings and pongs, both ways')

  const order = Array.from({ length: 2000 }, (_, index) => String(index))
  const back = []
  const all = new Promise((resolve) => socket.on('message', (message) => {
    if (back.push(String(message)) === order.length) resolve()
  }))
  for (const message of order) socket.send(message)
  await all
  assert.deepEqual(back, order)
  fact('2000 messages without waiting, in order')

  let closed = once(socket, 'close')
  socket.send('!close 4002 by upstream')
  let [code, reason] = await closed
  assert.deepEqual([code, String(reason)], [4002, 'by upstream'])
  fact('the close code and reason of the server')

  socket = await open()
  closed = once(socket, 'close')
  socket.close(4001, 'by the caller')
  await closed
  await seen('4001 by the caller')
  fact('the close code and reason of the caller')

  socket = await open()
  closed = once(socket, 'close')
  socket.send('!cut')
  assert.equal((await closed)[0], 1006)
  fact('a connection that the server cuts is cut')

  socket = await open()
  socket.terminate()
  await seen('cut')
  fact('a connection that the caller cuts is cut')

  socket = await open({ perMessageDeflate: true })
  assert.match(socket.extensions, /permessage-deflate/)
  const long = 'compressed '.repeat(100000)
  assert.equal(await ask(socket, long), long)
  await end(socket)
  fact('permessage-deflate')

  const many = await Promise.all(Array.from({ length: 100 }, () => open()))
  const answers = await Promise.all(many.map((socket, index) => ask(socket, `number ${index}`)))
  assert.deepEqual(answers, many.map((_, index) => `number ${index}`))
  await Promise.all(many.map(end))
  fact('a hundred at once')
}

main().then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})
