"""People: accounts, second factors and sessions, beside the clients of agencies' applications."""
