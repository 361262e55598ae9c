"""Matching (*pemadanan*): which of many keys are known, and whether other values agree.

A key is matched (one record), ambiguous (several), unmatched, unknown (nobody has it, and somebody did not answer), or invalid;
with a reason for all but the first. Keys stand in columns, in windows of the question's order; what was found waits by window.
"""
