"""How unlike the training data observations are: distances, a test of sets of them, typicality of densities."""
