"""REST: models, and the servers behind them."""
