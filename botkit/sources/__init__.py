"""Events in: each source reads by X's rules and commits to the inbox before it moves on."""
