"""The chassis every service runs on.

Holds the shells around the pure cores: the log and its fold, the pipeline by which a leader writes, the lease,
snapshots, HTTP, metrics, processes. Services call it; it calls client libraries; it knows no service and no
business rule.
"""
