"""Find out what would make the first write fail: each check returns findings with a cure."""
