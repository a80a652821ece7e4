"""The meaning and cure of each refusal X sends."""
