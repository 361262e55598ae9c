"""From a question to one honest answer out of many datasets."""
