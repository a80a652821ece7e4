"""The commands that say how things stand: status, doctor, checklist."""
