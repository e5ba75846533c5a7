# SPDX-License-Identifier: MIT
"""An HTTP server that is no etcd, or one that says what a test wants."""

import http.server
import ssl
import threading


class Impostor:
    """Answers every question with `status` and `body`, or what `reply(path, body)` returns of both; with TLS if it has
    a certificate and key.  `asked` counts."""

    def __init__(self, status=200, body=b"", certificate=None, reply=None):
        self.asked = 0
        impostor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                impostor.asked += 1
                question = self.rfile.read(int(self.headers["Content-Length"]))
                code, answer = reply(self.path, question) if reply else (status, body)
                if answer is None:  # nothing, until the client hangs up
                    self.rfile.read(1)
                    return
                self.send_response(code)
                if 300 <= code < 400:
                    self.send_header("Location", impostor.url)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # clients that hang up are what some tests want

        self.server = Server(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
