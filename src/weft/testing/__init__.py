"""What a test of a port needs: conformance suites, factories, a controllable clock. Shipped, never imported at run time.

Knows: the promises of each port, one test per promise.
Offers: `log_suite`, `store_suite`, factories for events and batches, `ManualClock`.
Speaks: to the ports it tests.
"""
