"""The labs as pages, served by Voilà."""
