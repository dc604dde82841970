"""Small files of each kind that released versions wrote, and the numbers in them: later ones read the same."""
