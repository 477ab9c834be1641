"""Going on with an answer that broke off."""
