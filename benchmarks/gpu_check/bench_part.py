def run(records, device, options, compile_only=False):
    pass
def summary(records):
    return []
