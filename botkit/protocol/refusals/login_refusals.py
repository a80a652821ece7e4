"""Refusals on the way to a login, as rows of the table in `refusals.py`.

Source: docs/explanation/x-facts.md, 2.16, 3.5, 4.10 and 5.5.
"""

from __future__ import annotations

from botkit.protocol.refusals.diagnosis import Diagnosis, Topic, Verdict

__all__ = ["SIGNED", "TOKEN_ENDPOINT", "XML_HASH"]

XML_HASH = "xml-hash"
"""The reason that stands for the old XML form of an OAuth 1.0a refusal, which has no code."""

_W, _U = Verdict.WRONG, Verdict.UNTOLD
_LOGIN_AGAIN = "Authorize again: botkit setup."
_REGISTER = "Register the callback URL, letter by letter, in the app's settings in X's console."

TOKEN_ENDPOINT = (
    Diagnosis(
        id="unauthorized-client",
        verdict=_W,
        topic=Topic.CLIENT_KEYS,
        cause="X does not accept this client id and secret; it does not say which of the two.",
        cure="Compare client_id and client_secret with the app's Keys and tokens page in"
        " X's console; logins are untouched.",
        names=("unauthorized_client",),
    ),
    Diagnosis(
        id="invalid-client",
        verdict=_W,
        topic=Topic.CLIENT_KEYS,
        cause="X does not know this client id.",
        cure="Take client_id from the app's Keys and tokens page in X's console (OAuth 2.0"
        " Client ID, not the API Key).",
        names=("invalid_client",),
    ),
    Diagnosis(
        id="field-missing",
        verdict=_W,
        topic=Topic.CLIENT_KEYS,
        cause="X misses a field of the form: the app may be of another type in X's console.",
        cure="Make it a Web App or an Automated App in X's console, which have a client secret.",
        names=("invalid_request",),
        words=r"missing required parameter|\[[a-z_]+\]",
        text="Missing required parameter [client_id].",
    ),
    Diagnosis(
        id="redirect-mismatch",
        verdict=_W,
        topic=Topic.CALLBACK,
        cause="The redirect URI is another one than the one that the login began with, or is not"
        " registered for the app.",
        cure="Register redirect_uri, letter by letter, in X's console; then start again.",
        names=("invalid_request",),
        words=r"redirect[ _]ur[il]",
        text="Value passed for the redirect uri did not match the uri of the authorization code.",
    ),
    Diagnosis(
        id="code-dead",
        verdict=_W,
        topic=Topic.LOGIN,
        cause="The authorization code is wrong, was used, or is older than 30 s.",
        cure="Start the login again: botkit setup.",
        names=("invalid_request",),
        words="authorization code",
        text="Value passed for the authorization code was invalid.",
    ),
    Diagnosis(
        id="token-dead",
        verdict=_W,
        topic=Topic.LOGIN,
        cause="The refresh token was used, revoked, is too old, or belongs to another app.",
        cure=_LOGIN_AGAIN,
        names=("invalid_request",),
        words="value passed for the token",
        text="Value passed for the token was invalid.",
    ),
    Diagnosis(
        id="invalid-grant",
        verdict=_W,
        topic=Topic.LOGIN,
        cause="The code or refresh token is dead.",
        cure=_LOGIN_AGAIN,
        names=("invalid_grant",),
    ),
    Diagnosis(
        id="request-unclear",
        verdict=_U,
        topic=Topic.LOGIN,
        cause="X refused the form in words that are not known: code, token, redirect URI or a"
        " field may be meant.",
        cure="What is stored is kept; X's own words are all there is.",
        names=("invalid_request",),
    ),
)
SIGNED = (
    Diagnosis(
        id="bad-signature",
        verdict=_W,
        topic=Topic.API_KEYS,
        cause="X could not verify the signature of OAuth 1.0a.",
        cure="Compare api_key and api_secret (the consumer key and secret) and the token's secret"
        " with the app's Keys and tokens page in X's console.",
        codes=(32,),
    ),
    Diagnosis(
        id="token-revoked",
        verdict=_W,
        topic=Topic.LOGIN,
        cause="The token was revoked, regenerated or invalidated.",
        cure=_LOGIN_AGAIN,
        codes=(89,),
    ),
    Diagnosis(
        id="bad-app-keys",
        verdict=_W,
        topic=Topic.API_KEYS,
        cause="X does not accept this api key and secret; it does not say which of the two.",
        cure="Compare api_key and api_secret with the API Key and Secret on the app's Keys and"
        " tokens page in X's console; they are not the client id and client secret.",
        codes=(99,),
    ),
    Diagnosis(
        id="clock-off",
        verdict=_W,
        topic=Topic.CLOCK,
        cause="The clock of this machine is off: X refuses the time in the signature.",
        cure="Set it by NTP.",
        codes=(135,),
    ),
    Diagnosis(
        id="bad-authentication-data",
        verdict=_W,
        topic=Topic.API_KEYS,
        cause="X could not read what authenticates the call.",
        cure="Look for quotes, blanks and line ends in the app's keys in the settings.",
        codes=(215,),
    ),
    Diagnosis(
        id="wrong-route",
        verdict=_W,
        topic=Topic.ACCESS,
        cause="The app's bearer token does not reach this call; it takes a user's token.",
        cure="Authorize the account: botkit setup.",
        codes=(220,),
    ),
    Diagnosis(
        id="callback-refused",
        verdict=_W,
        topic=Topic.CALLBACK,
        cause="The callback URL is not registered for the app.",
        cure=_REGISTER,
        codes=(415,),
    ),
    Diagnosis(
        id="callback-refused-xml",
        verdict=_W,
        topic=Topic.CALLBACK,
        cause="The callback URL is not registered for the app (X's older XML form, without code).",
        cure=_REGISTER,
        statuses=(403,),
        reasons=(XML_HASH,),
    ),
    Diagnosis(
        id="pin-or-callback",
        verdict=_W,
        topic=Topic.CALLBACK,
        cause="The app takes logins by PIN only, or by callback only.",
        cure="Use `botkit setup --pin`, or `botkit setup --oauth1` where a PIN was refused.",
        codes=(417,),
    ),
)
