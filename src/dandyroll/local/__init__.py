"""The local home: one process tree on one machine; files, SQLite, worker processes."""
