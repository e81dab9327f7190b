"""The reproduction of Keskar et al. 2017: its recipes, its published numbers, its figures."""
