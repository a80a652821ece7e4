"""What an account can do, told from what its logins hold."""

from __future__ import annotations

import pytest

from botkit.doctor.abilities import check_access
from botkit.model.tokens import CredentialKind
from botkit.model.users import Account
from botkit.protocol.refusals.table import Verdict

ME = Account(id="7", username="greeter", app="shop")


@pytest.mark.parametrize(
    ("held", "cause"),
    [((), "X did not say the access level"), (("grand",), "X said 'grand', no known word, of")],
)
def test_a_level_that_says_nothing_leaves_it_untold(held: tuple[str, ...], cause: str) -> None:
    (line,) = check_access(ME, {CredentialKind.OAUTH1: held}, may=["post"], scopes=())
    assert line.verdict is Verdict.UNTOLD
    assert line.cause.startswith(cause)


def test_what_is_lacking_for_hearing_names_the_app_to_authorize_through() -> None:
    held = {CredentialKind.OAUTH2: ("tweet.read", "tweet.write", "users.read")}
    lines = check_access(ME, held, may=["post"], scopes=("offline.access",))
    assert lines[-1].cure == "Authorize again: botkit setup --app shop --account greeter"
