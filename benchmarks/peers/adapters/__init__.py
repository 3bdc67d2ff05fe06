"""One module for each peer, with `fit` and `load` as `peers.contract.Adapter` says."""
