"""An SMTP server on loopback (aiosmtpd). Takes its settings as JSON from the command line; writes its port, then each mail, as JSON lines."""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(sys.argv[1])


def say(value):
    print(json.dumps(value), flush=True)


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if settings.get("refuse"):
            return settings["refuse"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "body": mail.get_content(),
            "tls": session.ssl is not None or settings.get("tls") == "implicit",
            "user": session.auth_data,
        })
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    is_right = given == settings["auth"]
    return AuthResult(success=is_right, handled=is_right, auth_data=given[0])


async def main():
    context = None
    if settings.get("tls"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings["certificate"], settings["key"])
    starttls = settings.get("tls") == "starttls"
    auth = bool(settings.get("auth"))

    def factory():
        return SMTP(
            Keeper(),
            hostname="mail.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate if auth else None,
            auth_required=auth,
            auth_require_tls=starttls,
        )

    direct = context if settings.get("tls") == "implicit" else None
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=direct)
    say({"port": server.sockets[0].getsockname()[1]})
    # Whoever started it ends it by closing its input.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
