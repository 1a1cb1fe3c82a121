"""From a line or a document as people wrote it to clauses and their predicate."""
