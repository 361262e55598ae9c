"""How a file made for people has to be read: encoding, delimiter, sheet, header rows, total rows, records of a document."""
