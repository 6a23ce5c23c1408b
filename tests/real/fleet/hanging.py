"""A token endpoint whose first request never gets an answer: whoever makes it is killed while it waits.

    hanging.py PORT

Prints a line for each request, as it arrives.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

first = threading.Lock()


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if first.acquire(blocking=False):
            print("asked: never answered", flush=True)
            threading.Event().wait()
        print("asked: answered", flush=True)
        body = json.dumps({"access_token": "opaque", "token_type": "Bearer", "expires_in": 86400}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Endpoint).serve_forever()
