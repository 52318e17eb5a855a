"""What the encoder reports while it works: :mod:`progress` in a file and on the screen, :mod:`serving` over HTTP."""
