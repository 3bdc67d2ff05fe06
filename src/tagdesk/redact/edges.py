"""What may stand before, within and behind a find: the pieces that the patterns of all kinds share.

Every pattern is linear in the text: it begins at the edge of a run, and its repeats are possessive or bounded.
Most begin with a character and look behind it, because Python skips fast to a character and not to an edge.
"""

from __future__ import annotations

import re

EDGE = r"(?<!\w.)(?<![A-Z]\].)"  # no find begins within a word or right behind a placeholder
AFTER = r"(?!\w|\[[A-Z]{2})"
GAP = r"(?:[ .\u200b-]{1,3}|[ .-]?\r?\n[ >]{0,3})"  # between the groups of a long number, maybe on two lines
NO_DIGIT = re.compile(r"[^0-9]+")
