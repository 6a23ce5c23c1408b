"""A WebSocket server that wants a token, and sends back what it gets.

server.py PORT TLS-PORT CERTIFICATE KEY

Text that begins with `!` is a command: `!ping`, `!close CODE REASON`, `!cut`, `!seen`. The last one tells how the last connection
ended that did not ask this.
"""

import asyncio
import http
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError

ended = "nothing yet"


def authorize(connection, request):
    given = request.headers.get_all("authorization")
    if len(given) != 1 or not given[0].startswith("Bearer ey"):
        return connection.respond(http.HTTPStatus.UNAUTHORIZED, "one token is wanted\n")


async def answer(connection):
    global ended
    asked = False
    try:
        async for message in connection:
            match message.split(" ", 2) if isinstance(message, str) and message.startswith("!") else None:
                case ["!ping"]:
                    await (await connection.ping(b"from upstream"))
                    await connection.send("pong has come")
                case ["!close", code, reason]:
                    await connection.close(int(code), reason)
                case ["!cut"]:
                    connection.transport.abort()
                case ["!seen"]:
                    asked = True
                    await connection.send(ended)
                case _:
                    await connection.send(message)
    except ConnectionClosedError:
        pass
    if not asked:
        close = connection.protocol.close_rcvd
        ended = f"{close.code} {close.reason}" if close else "cut"


async def main(port, tls_port, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    options = {"process_request": authorize, "subprotocols": ["second"], "max_size": None}
    async with (
        serve(answer, "127.0.0.1", int(port), **options),
        serve(answer, "127.0.0.1", int(tls_port), ssl=context, **options),
    ):
        await asyncio.get_running_loop().create_future()


asyncio.run(main(*sys.argv[1:]))
