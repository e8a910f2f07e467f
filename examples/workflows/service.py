"""The service that the examples act on, to be started beside them: it prints what it does."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

MOVES = [
    {"tool": "search", "argument": "flights to Oslo"},
    {"tool": "send_email", "argument": "ann@example.org"},
    {"tool": "answer", "argument": "Ann has been told"},
]
INBOX = ["hello", "how are you?", "stop"]


class Service(BaseHTTPRequestHandler):
    """POST does something once for each key, GET shows it, and DELETE undoes it."""

    done: ClassVar[list[tuple[str, str]]] = []
    undone: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/model":
            self.answer(200, MOVES[min(len(asked), len(MOVES)) - 1])
            return
        act = (self.path, self.headers["Idempotency-Key"])
        if act not in self.done:
            self.done.append(act)
            print(*act, str(asked)[:80], flush=True)
        self.answer(201, {"number": self.done.index(act) + 1})

    def do_GET(self) -> None:
        folder, _, name = self.path.rpartition("/")
        if folder == "/inbox":
            self.answer(200, {"text": INBOX[int(name)] if int(name) < len(INBOX) else None})
        else:
            self.answer(200 if (folder, name) in self.done else 404, {})

    def do_DELETE(self) -> None:
        is_first = self.path not in self.undone
        self.undone.add(self.path)
        print("undone:", self.path, flush=True)
        self.answer(200 if is_first else 404, {})

    def answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: actions are printed."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    with ThreadingHTTPServer(("127.0.0.1", port), Service) as server:
        print(f"export SERVICE_URL=http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
