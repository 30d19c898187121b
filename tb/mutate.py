def illegal(config, seed):
    raise NotImplementedError
