"""Sheets of workbooks and pages of tables, parsed in a child process under limits. Loads little: the child starts with it."""
