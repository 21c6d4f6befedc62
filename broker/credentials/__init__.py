"""Access key ids, session tokens and the keys behind them."""
