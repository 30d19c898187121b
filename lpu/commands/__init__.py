"""One module a verb, each with a ``command``; what a verb needs it imports when it runs."""
