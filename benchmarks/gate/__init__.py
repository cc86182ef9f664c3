"""Is a reward model fit to be optimized against?

Accuracy on fixed pairs says how a scorer ranks what one policy happens to write. A policy that is trained against it,
or whose best of n it chooses, writes what the scorer likes. So here a scorer also meets texts that such a policy would
find: `probes` makes them from the user's own chains, `measures` counts how often it falls for them, `limits` says how
often is too often, and `job` puts all of it on a card.
"""
