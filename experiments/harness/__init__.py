"""Run and report experiments: settings as data, a runner, append-only tables, and pages made from them."""
