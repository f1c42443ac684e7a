"""The lecture as a page on which the network runs: what is written for it, and a server on this machine."""
