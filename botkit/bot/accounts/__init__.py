"""The accounts of a running bot: access, logins that change, accounts that join."""
