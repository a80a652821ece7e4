"""OAuth set-up on 127.0.0.1: the callback server, its pages, and the steps of `botkit setup`."""
