"""Define, compose and run bots; the only room that joins ports to implementations."""
