"""Services that devenv itself runs beside the stores: stream workers, and the issuer of sign-in tokens."""
