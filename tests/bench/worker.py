"""A process for one variant: an order a line in, a sample a line out, until the input ends."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from dataclasses import asdict

from tests.bench.measure import Order

__all__: list[str] = []


def _main(named: str) -> None:
    module, _, name = named.partition(":")
    variant = getattr(importlib.import_module(module), name)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a variant prints is no sample
    for line in sys.stdin:
        gc.collect()
        gc.freeze()  # as `botkit run` does: what was imported is not looked through again
        sample = variant(Order(**json.loads(line)))
        out.write(json.dumps(asdict(sample)) + "\n")
        out.flush()


if __name__ == "__main__":
    _main(sys.argv[1])
