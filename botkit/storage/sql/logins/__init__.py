"""The jobs on accounts, their logins and their invitations."""
