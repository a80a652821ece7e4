"""The bot's own server in a real browser: every page, and a login by invitation with and without script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser

from botkit.web.page_texts import BOT_PAGES, CONNECT_PAGES, INVITATION_PAGES
from botkit.web.pages import Page, render
from tests.browser.conftest import Visitor
from tests.crash.conftest import Machine, World, free_port, installed, served, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

AT = "http://127.0.0.1:9/connect"
OFFER = replace(
    CONNECT_PAGES["onward"],
    title=f"Authorize an account for the bot {'long' * 20}",
    facts=(("Account", "@greeter"), ("X will be asked for", "tweet.read " * 12)),
    notes=("If the account has a login here already, the new one takes its place.",),
    button="Authorize with X",
    fields=(("invitation", "A" * 98),),
)
SHOWN = {
    **{f"bot {name}": page for name, page in BOT_PAGES.items()},
    **{f"invitation {name}": page for name, page in INVITATION_PAGES.items()},
    **CONNECT_PAGES,
    "offer": OFFER,
    "onward": replace(CONNECT_PAGES["onward"], onward="#x"),
}


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_a_page_reads_well_for_everybody(visitor: Visitor, name: str) -> None:
    page: Page = SHOWN[name]
    body, headers = render(page)
    visitor.page.route(
        "**/*", lambda route: route.fulfill(status=page.status, body=body, headers=headers)
    )
    visitor.page.goto(AT)
    visitor.judge()
    assert visitor.page.inner_text("h1") == page.title
    assert page.next_step in visitor.page.inner_text("main")
    assert visitor.origins == {"http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def public() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def x(tmp_path_factory: pytest.TempPathFactory, public: str) -> Iterator[World]:
    callback = f"{public}/connect/callback"
    with served(tmp_path_factory.mktemp("x"), "--redirect-uri", callback) as world:
        world.call("/sandbox/users", {"username": "somebody"})
        world.environment |= {
            "BOTKIT_CONNECT__ON": "true",
            "BOTKIT_CONNECT__PUBLIC_URL": public,
            "BOTKIT_HTTP__PORT": public.rpartition(":")[2],
        }
        yield world


@pytest.fixture
def desk(x: World, tmp_path: Path) -> Iterator[Machine]:
    machine = installed(tmp_path, x)
    yield machine
    machine.end()


@pytest.mark.parametrize("script", [True, False])
def test_a_person_opens_a_link_presses_the_button_and_authorizes(
    chromium: Browser, desk: Machine, x: World, public: str, *, script: bool
) -> None:
    invited = desk.do("accounts", "invite", "--make-key", "--account", "greeter")
    assert invited.returncode == 0, invited.stderr
    desk.run()
    until(desk.starts, why=desk.said)
    context = chromium.new_context(java_script_enabled=script)
    context.set_default_timeout(15_000)
    visitor = Visitor(context.new_page())
    visitor.page.goto(invited.stdout.strip())
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    for name, decision in (("somebody", "Authorize app"), ("greeter", "Cancel")):
        visitor.page.get_by_label("Logged in as").select_option(name)
        visitor.page.get_by_role("button", name=decision).click()
        heading = "another account" if name == "somebody" else "Authorization was declined"
        visitor.page.get_by_role("heading", name=heading).wait_for()
        visitor.page.goto(invited.stdout.strip())
        visitor.page.get_by_role("button", name="Authorize with X").click()
    visitor.page.get_by_label("Logged in as").select_option("greeter")
    visitor.page.get_by_role("button", name="Authorize app").click()
    visitor.page.get_by_role("heading", name="The account is authorized").wait_for()
    assert "acts for it from now on" in visitor.page.inner_text("main")
    assert visitor.origins == {public, x.url}
    assert visitor.complaints == []
    context.close()
