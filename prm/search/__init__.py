"""Search guided by scores: problems → chains, with a scorer that says at each step which ones to go on with."""
