"""The HTTP contract, the same in every home: the route table, its handlers, its errors."""
