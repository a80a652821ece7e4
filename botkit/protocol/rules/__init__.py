"""X's rules for an automated account: policy, access, prices, the label."""
