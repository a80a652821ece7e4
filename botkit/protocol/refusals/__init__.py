"""Look up the meaning and cure of each refusal that X sends."""
