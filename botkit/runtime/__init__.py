"""The running bot: inbox, dispatcher, guard, outbox and the life of the process."""
