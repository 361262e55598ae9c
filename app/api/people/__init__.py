"""People: signing in, the own session, and the accounts that the walidata keeps."""
