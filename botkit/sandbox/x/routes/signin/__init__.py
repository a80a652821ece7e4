"""The routes by which a person grants an app a login, and their pages."""
