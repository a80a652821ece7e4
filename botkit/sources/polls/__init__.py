"""Sources that ask X at an interval: mentions, messages, and the polls that a bot declares."""
