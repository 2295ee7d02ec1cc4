"""Losses on images, to be added to others; each gives one number for each image, (b,)."""

from helpers.images import check_images


def total_variation(images, *, beta=2.0):
    """How much neighbouring pixels differ, (b,3,h,w) -> (b,): the sum over pixels and colours of (dx^2 + dy^2)^(beta/2).

    dx and dy are the differences to the next pixel on the right and below; the last column and row have none. With beta 2
    edges are dear, with beta 1 a wide slope costs as much as an edge. Mahendran & Vedaldi 2015.
    """
    check_images(images, within=False)
    if not 0 < beta < float("inf"):
        raise ValueError(f"Got beta={beta}; expected more than 0. Try 2, as in the paper, or 1 for sharper edges.")
    squares = images.new_zeros(images.shape)
    across, down = images.diff(dim=3).square(), images.diff(dim=2).square()
    squares[..., :-1] += across
    squares[..., :-1, :] += down
    if beta < 2:        # its gradient is infinite where neighbours are equal: there it is made zero
        return (squares.clamp(min=1e-12) ** (beta / 2) * (squares > 0)).sum((1, 2, 3))
    return (squares ** (beta / 2)).sum((1, 2, 3))
