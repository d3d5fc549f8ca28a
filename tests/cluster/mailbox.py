#!/usr/bin/env python3
"""mailbox.py ADDRESS PORT FOLDER: an SMTP server that keeps what it gets, a file a mail, in the order of arrival."""
import os
import socketserver
import sys

address, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.makedirs(folder, exist_ok=True)


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 mailbox ESMTP")
        for line in self.rfile:
            verb = line.split(b":")[0].split()[0].upper() if line.strip() else b""
            if verb == b"DATA":
                self.say("354 go on")
                mail = []
                for part in self.rfile:
                    if part in (b".\r\n", b".\n"):
                        break
                    mail.append(part[1:] if part.startswith(b"..") else part)
                self.server.count += 1
                path = os.path.join(folder, f"{self.server.count:04}.eml")
                with open(path + ".part", "wb") as file:
                    file.writelines(mail)
                os.rename(path + ".part", path)
                self.say("250 kept")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 mailbox" if verb else "500 what?")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    count = 0


Server((address, port), Session).serve_forever()
