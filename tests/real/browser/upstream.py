"""An upstream and its token endpoint that nothing guards: every request is answered, written down, and may be read by
every page.

    upstream.py PORT FILE    writes a line `METHOD TARGET` for each request but those for tokens, `TOKEN` for those
"""

import base64
import hashlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, FILE = int(sys.argv[1]), sys.argv[2]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def any(self):
        path = self.path.split("?")[0]
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        if path == "/up":
            return self.say("text/plain", b"up")
        line = "TOKEN" if path == "/token" else f"{self.command} {self.path}"
        with open(FILE, "a") as file:
            file.write(line + "\n")
        if path == "/token":
            text = json.dumps({"access_token": f"secret-token-{time.time()}", "token_type": "Bearer", "expires_in": 86400})
            return self.say("application/json", text.encode())
        if self.headers.get("upgrade", "").lower() == "websocket":
            return self.switch()
        if path.endswith("/events"):
            return self.say("text/event-stream", b"data: of the cluster\n\n")
        if path.endswith("/script"):
            return self.say("text/javascript", b"self.loaded = 'of the cluster';")
        if path.endswith("/style"):
            return self.say("text/css", b"p { color: red }")
        if path.endswith("/picture"):
            pixel = base64.b64decode("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==")
            return self.say("image/gif", pixel)
        self.say("text/html", b"<p>of the cluster</p>")

    def say(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("access-control-allow-origin", self.headers.get("origin", "*"))
        self.send_header("access-control-allow-credentials", "true")
        self.send_header("access-control-allow-headers", "content-type, x-own, authorization")
        self.send_header("access-control-allow-methods", "GET, POST, PUT, DELETE, PATCH")
        self.send_header("access-control-allow-private-network", "true")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def switch(self):
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        for name, value in [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-accept", accept)]:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = any

    def log_message(self, *_):
        pass


ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer(("127.0.0.1", PORT), Answer).serve_forever()
