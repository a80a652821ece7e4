"""What would make the first write fail: each check is a question with a finding for an answer."""
