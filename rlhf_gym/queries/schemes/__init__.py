"""Query schemes, a file each: they choose the candidates most worth asking."""
