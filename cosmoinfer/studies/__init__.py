"""Studies of many posteriors: the cross-suite matrix, the learning curve and its scaling law."""
