"""The decision core: pure, one account at a time. No I/O, no clock, no asyncio; every number it judges by is in the log."""
