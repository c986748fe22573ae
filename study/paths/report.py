def write(_folders, _output):
    return []
