"""Drawing from posteriors: rejection inside the prior box, temperature, what was asked for."""
