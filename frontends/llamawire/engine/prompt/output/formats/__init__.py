"""The ways of writing calls, a file a family.

Each file has a script (see `source`) that reads the answer after the thinking, and opens with what
that family writes.
"""
