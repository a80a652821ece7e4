"""What X allows an automated account: policy, access, prices, the label."""
