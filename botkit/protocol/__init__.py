"""X's and OAuth's rules, sans I/O: values and bytes in, values or errors out."""
