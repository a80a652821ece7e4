"""Proxies and extra headers come from the environment, and their faults name the variable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from botkit.config import load_settings
from botkit.errors import ConfigError


def problems_of(folder: Path, environ: dict[str, str], *overrides: str) -> list[str]:
    try:
        load_settings(environ=environ, folder=folder, overrides=overrides)
    except ConfigError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("X-Gate: 1", {"X-Gate": "1"}),
        ("X-Gate:a:b", {"X-Gate": "a:b"}),
        ('{"X-Gate": "1", "X-Way": "2"}', {"X-Gate": "1", "X-Way": "2"}),
    ],
)
def test_extra_headers_are_read_from_one_variable(
    tmp_path: Path, text: str, headers: dict[str, str]
) -> None:
    settings = load_settings(environ={"BOTKIT_X__EXTRA_HEADERS": text}, folder=tmp_path)
    assert settings.x.extra_headers == headers


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("X-Gate", 'is neither "NAME: VALUE" nor a JSON object.'),
        ('{"X-Gate"', "begins like a JSON object and is none."),
        ("X Gate: 1", "holds a name that no header can have."),
        ("X-Gate: ä", "X-Gate has a value that no header can have."),
        ("Authorization: Basic abc", "cannot set Authorization: botkit sets it itself."),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_without_their_value(
    tmp_path: Path, text: str, problem: str
) -> None:
    found = problems_of(tmp_path, {"BOTKIT_X__EXTRA_HEADERS": text})
    assert found == [f"BOTKIT_X__EXTRA_HEADERS: {problem}"]


@pytest.mark.parametrize("text", ['{"X-Gate": 1}', '{"X-Gate": ["1"]}'])
def test_a_header_has_one_text(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of(tmp_path, {"BOTKIT_X__EXTRA_HEADERS": text})
    assert problem.endswith("Input should be a valid string.")


PROXIES: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "wire/operators/proxies.json").read_bytes()
)["cases"]


def proxy_faults(tmp_path: Path, **names: str) -> list[str]:
    return problems_of(tmp_path, names, "x.use_proxy=true")


@pytest.mark.parametrize("case", PROXIES, ids=lambda case: case["HTTPS_PROXY"])
def test_a_proxy_is_used_or_refused_by_the_name_of_its_variable(
    tmp_path: Path, case: dict[str, str]
) -> None:
    value = case["HTTPS_PROXY"]
    if value.startswith("("):  # only ALL_PROXY is set
        name, _, value = value.strip("()").removesuffix(" only").partition("=")
        assert proxy_faults(tmp_path, **{name: value}) == []
        return
    found = proxy_faults(tmp_path, HTTPS_PROXY=value)
    if "ConfigError" not in case["right"].partition(", or ")[0]:
        assert found == []
        return
    (problem,) = found
    assert problem.startswith("HTTPS_PROXY: ")
    assert value not in problem


@pytest.mark.parametrize(
    "value",
    [
        "ftp://a:1",
        "http://a:port",
        "http://a:65536",
        "http://a:0",
        "http://[::1",
        "http://",
        "a b:1",
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_fault_with_its_cure(tmp_path: Path, value: str) -> None:
    (problem,) = proxy_faults(tmp_path, ALL_PROXY=value)
    assert problem.startswith("ALL_PROXY: ")
    assert "http://proxy.example:3128" in problem


def test_only_the_proxy_that_is_used_is_judged(tmp_path: Path) -> None:
    socks = "socks5://me:hush@127.0.0.1:1080"
    assert proxy_faults(tmp_path, HTTPS_PROXY="http://a:1", ALL_PROXY=socks) == []
    assert proxy_faults(tmp_path, HTTPS_PROXY=socks, https_proxy="http://a:1") == []
    assert proxy_faults(tmp_path, HTTPS_PROXY=socks, https_proxy="") == []
    assert proxy_faults(tmp_path, HTTP_PROXY=socks) == []
    (problem,) = proxy_faults(tmp_path, all_proxy=socks)
    assert problem.startswith("all_proxy: SOCKS is not supported")
    assert "hush" not in problem
    load_settings(environ={"ALL_PROXY": socks}, folder=tmp_path)  # not asked for
