"""Any exception becomes a text that a log and a store can hold."""

from __future__ import annotations

from botkit.telemetry.error_text import error_text, plain_text, trace_text


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_the_text_has_the_class_the_words_and_the_notes() -> None:
    error = ValueError("no db")
    error.add_note("A note.")
    assert error_text(error) == "ValueError: no db A note."


def test_a_trace_that_python_cannot_write_still_shows_where_it_was() -> None:
    class Odd(SyntaxError):
        text = 5  # type: ignore[assignment]
        lineno = "x"  # type: ignore[assignment]
        filename = "bot.py"

    trace = trace_text(raised(Odd("odd")))
    assert "test_error_text.py" in trace
    assert "Odd" in trace


def test_lone_surrogates_are_escaped_and_the_rest_stays() -> None:
    assert plain_text("é \ud800") == "é \\ud800"
