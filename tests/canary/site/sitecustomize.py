"""Python imports this at its start when the folder is on PYTHONPATH: processes that the tests start are watched."""

from tests.canary.watch import watch_a_child

watch_a_child()
