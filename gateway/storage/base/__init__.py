"""The pool and unit of work, ids, migrations and the schema that they apply."""
