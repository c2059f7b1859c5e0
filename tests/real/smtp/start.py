#!/usr/bin/env python3
"""An SMTP server on 127.0.0.1 that keeps what it gets as files, in the foreground (stop: SIGTERM).

    start.py PORT DATA_DIR [--tls CERT KEY] [--user NAME PASSWORD]

Each message becomes DATA_DIR/NNNN.eml, its envelope NNNN.json. --tls offers STARTTLS, --user asks for a sign-in.
A recipient whose name begins with "bounce" gets 550, "later" gets 451, to test what the application does then.
"""

import argparse
import asyncio
import json
import pathlib
import signal
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Keep:
    def __init__(self, folder):
        self.folder = folder
        self.count = len(list(folder.glob("*.eml")))

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("bounce"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later"):
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        stem = self.folder / f"{self.count:04d}"
        stem.with_suffix(".eml").write_bytes(envelope.original_content)
        stem.with_suffix(".json").write_text(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "tls": session.ssl is not None,
                    "user": session.auth_data.login.decode() if session.auth_data else None,
                }
            )
        )
        return "250 kept"


async def main():
    args = argparse.ArgumentParser()
    args.add_argument("port", type=int)
    args.add_argument("data", type=pathlib.Path)
    args.add_argument("--tls", nargs=2)
    args.add_argument("--user", nargs=2)
    a = args.parse_args()
    a.data.mkdir(parents=True, exist_ok=True)
    context = None
    if a.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*a.tls)

    def check(server, session, envelope, mechanism, data):
        ok = isinstance(data, LoginPassword) and [data.login.decode(), data.password.decode()] == a.user
        return AuthResult(success=ok, auth_data=data)

    keep, loop = Keep(a.data), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(
            keep,
            hostname="mail.meridian.test",
            enable_SMTPUTF8=True,
            tls_context=context,
            authenticator=check if a.user else None,
            auth_required=bool(a.user),
            auth_require_tls=bool(a.tls),
        ),
        "127.0.0.1",
        a.port,
    )
    print(f"ready 127.0.0.1:{a.port}", flush=True)
    end = asyncio.Event()
    for s in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(s, end.set)
    await end.wait()
    server.close()


asyncio.run(main())
