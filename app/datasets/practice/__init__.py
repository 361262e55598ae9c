"""Practice (`Simpul-Mode: uji`): synthetic datasets of every schema, made of its types and examples; no source stands behind them."""
