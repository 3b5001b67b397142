"""What questions are run and reported by: settings as data, a runner, rows that only grow, pages made from them."""
