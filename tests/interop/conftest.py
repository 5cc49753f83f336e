"""Nothing here is part of `make test`: it is collected only where it is asked for by its path (`make interop`)."""


def pytest_ignore_collect(config):
    return None if any("interop" in arg for arg in config.args) else True
