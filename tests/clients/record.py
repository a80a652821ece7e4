"""Record what programs of others send when they log in to the sandbox, read and post.

    make clients && python -m tests.clients.record

writes `tests/wire/clients/<program>.json`, which `tests/conformance/test_recorded_clients.py`
replays without npm. The programs are unmodified; only their connections to X lead here.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from aiohttp import web

from botkit.sandbox.wire.exchange import Call
from botkit.sandbox.x.server import XServer
from tests.clients.stage import staged

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
INSTALLED = ROOT / ".cache" / "clients"
RECORDS = ROOT / "tests" / "wire" / "clients"
HOSTS = ("api.twitter.com", "api.x.com", "twitter.com", "x.com")
KEPT = ("host", "authorization", "content-type", "accept", "user-agent")
"""The headers that the sandbox may look at, and the program's name."""


def versions() -> dict[str, str]:
    """Return the programs' exact versions: those from npm, and the one that has no wheel."""
    asked = json.loads((Path(__file__).parent / "package.json").read_text())
    named = {name.removeprefix("@xdevplatform/"): at for name, at in asked["dependencies"].items()}
    del named["twitter-text"]
    return named | asked["python"]


async def record(program: Path, version: str, folder: Path) -> None:
    at = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the programs sign the real time
    server, told = staged(at)
    calls: list[dict[str, Any]] = []
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*HOSTS).configure_cert(tls)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", lambda request: take(request, server, calls))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        port = runner.addresses[0][1]
        environment = {
            "PATH": os.environ["PATH"],  # noqa: TID251 - where node is
            "STAGE": json.dumps(dict(told)),
            "RECORDER_PORT": str(port),
            "NODE_EXTRA_CA_CERTS": str(folder / "ca.pem"),
            "NODE_PATH": str(INSTALLED / "node_modules"),
            "REQUESTS_CA_BUNDLE": str(folder / "ca.pem"),
            "PYTHONPATH": str(INSTALLED / "python"),
        }
        script = str(program)
        redirect = str(Path(__file__).with_name("redirect.cjs"))
        command = (
            [sys.executable, "-P", script]
            if program.suffix == ".py"
            else ["node", "--require", redirect, script]
        )
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        assert await asyncio.wait_for(process.wait(), 60) == 0, program.name
    finally:
        await runner.cleanup()
    record = {"program": program.stem, "version": version, "at": at.isoformat(), "calls": calls}
    lines = ",\n".join(json.dumps(call) for call in record.pop("calls"))
    head = json.dumps(record)[:-1]
    (RECORDS / f"{program.stem}.json").write_text(f'{head}, "calls": [\n{lines}\n]}}\n')


async def take(
    request: web.Request, server: XServer, calls: list[dict[str, Any]]
) -> web.StreamResponse:
    body = await request.read()
    headers = {name.lower(): value for name, value in request.headers.items()}
    call = Call.of(request.method, request.raw_path, headers=headers, body=body)
    answer = await server.handle(call)
    calls.append(
        {
            "by": headers.get("x-by", "program"),
            "method": request.method,
            "path": request.raw_path,
            "headers": {name: headers[name] for name in KEPT if name in headers},
            "body": body.decode(),
            "status": answer.status,
        }
    )
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def main() -> None:
    """Record every program."""
    named = versions()
    for program in sorted(PROGRAMS.iterdir()):
        if program.stem in named:
            with TemporaryDirectory() as folder:
                asyncio.run(record(program, named[program.stem], Path(folder)))


if __name__ == "__main__":
    main()
