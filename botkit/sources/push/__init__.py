"""Sources that X pushes to: the activity stream, the filtered stream, the webhook."""
