"""How the documentation is built: Sphinx, Furo, MyST; no request leaves the page."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parent.parent))

import botkit
from botkit import __version__, errors, filters, sandbox

project = "botkit"
copyright = "botkit developers"  # noqa: A001 - Sphinx calls it so
version = release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "architecture_figure",
    "command_line",
    "error_tree",
    "log_events",
    "plain_docstrings",
    "settings_table",
]
exclude_patterns = ["_build", "_ext", "news"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "botkit"
html_copy_source = False
html_show_sourcelink = False

# Quotes stay as they are: much of what is quoted is code.
smartquotes = False
# A word between single backticks in a docstring is code.
default_role = "literal"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True

# Every reference must lead somewhere, except to what these pages do not document: the standard
# library, type variables, and what no public module gives out.
_PUBLIC = "|".join(sorted({*botkit.__all__, *errors.__all__, *filters.__all__, *sandbox.__all__}))
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", rf"(?!(?:{_PUBLIC})$)\w+"),
    (r"py:.*", r"(collections|contextlib|datetime|decimal|pathlib|typing|types|re|msgspec)\..*"),
    (r"py:.*", r"botkit\.(bot\.plan|routing|ports|protocol|runtime|sandbox|storage|model)\..*"),
    (r"py:.*", r"(?:.*\.)?[A-Z](?:\d|_contra|_co)?"),
]
