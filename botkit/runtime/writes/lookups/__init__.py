"""Looking on X for what may have been sent, and the own posts and messages known so far."""
