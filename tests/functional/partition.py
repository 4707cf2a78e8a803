"""Windows of a grid, cut out by definition."""


def partition_windows(x, window):
    """Cut ``(B, H, W, C)`` into windows ``(B * windows, N, C)``, row by row."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // window[0], window[0], width // window[1], window[1], channels)
    return x.transpose(2, 3).reshape(-1, window[0] * window[1], channels)
