"""The running bot: inbox, dispatcher, guard, outbox, leases and the life of the process."""
