"""Lookups over HTTP in the form of Meta's Hasher-Matcher-Actioner (HMA), answered by a NearHash server.

For a platform that calls HMA: point it here and try NearHash without a change of code. `python -m nearhash_hma` or the
command `nearhash-hma` runs it; it needs the extra ``nearhash[hma]``.
"""
