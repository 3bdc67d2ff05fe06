"""Reads support tickets and gives each the categories that it deserves."""
