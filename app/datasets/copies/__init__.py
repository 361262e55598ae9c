"""Copies of whole datasets on disk: how old they may be, how they are sealed, how reads are answered from them."""
