"""Query schemes, a file each: which of the candidates are most worth asking."""
