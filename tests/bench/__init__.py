"""`make bench`: what botkit costs, as ratios to a plain loop and to peers, measured in one run.

`rows` says what is measured and which ratio is the least that is accepted; each variant of a row
runs in a process of its own (`worker`), in turn with the others of the row.
"""
