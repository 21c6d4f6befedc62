"""``accredit``, but a token with an unknown key id has the issuer's keys fetched after a second instead of thirty.

The workers import this file too, so the change holds in them.
"""

from __future__ import annotations

import providers.oidc.jwks

providers.oidc.jwks.UNKNOWN_KEY_SECONDS = 1.0

if __name__ == "__main__":
    from broker.cli import main

    main(prog_name="accredit")
