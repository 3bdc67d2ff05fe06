"""The migrations, each named for what it brings; a released one is never changed."""
