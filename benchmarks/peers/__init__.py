"""Runs other text classifiers beside tagdesk, each in a process and an environment of its own."""
