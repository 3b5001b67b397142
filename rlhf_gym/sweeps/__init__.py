"""Many runs, one table: settings times seeds, done on this machine or on a cluster, each row kept as it comes."""
