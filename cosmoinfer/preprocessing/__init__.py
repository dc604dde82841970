"""From the data of a catalog to what a network sees: standardised, compressed, with noise, gaps marked."""
