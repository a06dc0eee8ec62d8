"""A mail server for tests: just enough of SMTP, with STARTTLS and TLS from the first byte."""

import base64
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.local.receiver import CERTIFICATE, KEY


@dataclass
class Mailbox:
    """What has come: whole messages, who they were for, and who logged in over TLS or not."""

    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)


class MailServer:
    """Serves until left. `refuses` are recipients it does not take."""

    def __init__(self, *, tls: bool = False, starttls: bool = True, refuses: str = "") -> None:
        self.mailbox = Mailbox()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        mailbox, changed = self.mailbox, threading.Condition()
        self._changed = changed

        class Session(socketserver.StreamRequestHandler):
            secure = False

            def handle(self) -> None:
                if tls:
                    self.wrap()
                self.say("220 here")
                while line := self.rfile.readline().decode().strip():
                    verb, _, rest = line.partition(" ")
                    match verb.upper():
                        case "EHLO":
                            self.say("250-here")
                            if starttls and not self.secure:
                                self.say("250-STARTTLS")
                            self.say("250 AUTH PLAIN")
                        case "STARTTLS":
                            self.say("220 go on")
                            self.wrap()
                        case "AUTH":
                            word = base64.b64decode(rest.split()[1]).decode()
                            mailbox.logins.append((word, self.secure))
                            self.say("235 welcome")
                        case "RCPT":
                            address = rest.split("<")[1].split(">")[0]
                            if address == refuses:
                                self.say("550 no such box")
                            else:
                                mailbox.recipients.append(address)
                                self.say("250 fine")
                        case "DATA":
                            self.say("354 go on")
                            data = b""
                            while (part := self.rfile.readline()) != b".\r\n":
                                data += part
                            message = message_from_bytes(data, policy=policy.default)
                            with changed:
                                mailbox.messages.append(message)
                                changed.notify_all()
                            self.say("250 taken")
                        case "QUIT":
                            self.say("221 bye")
                            return
                        case _:
                            self.say("250 fine")

            def finish(self) -> None:
                super().finish()
                self.connection.close()

            def wrap(self) -> None:
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile.close()
                self.rfile = self.connection.makefile("rb")
                self.secure = True

            def say(self, line: str) -> None:
                self.connection.sendall(line.encode() + b"\r\n")

        class Server(socketserver.ThreadingTCPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that does not like the certificate

        self._server = Server(("127.0.0.1", 0), Session)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> "MailServer":
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int, timeout_s: float = 30) -> None:
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.mailbox.messages) >= count, timeout_s)
            assert enough, f"{len(self.mailbox.messages)} of {count} after {timeout_s} s"
