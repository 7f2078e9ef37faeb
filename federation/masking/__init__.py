"""Sums of vectors whose terms nobody sees: pairwise masks, secret sharing, and a grid of whole numbers to add up on.

The protocol is that of Bonawitz et al. 2017 with double masking; docs/explanation/masking.md says what it promises.
Nothing here knows of a network: messages are plain values, and who carries them is not trusted with them.
"""
