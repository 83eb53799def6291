"""Who words the answer, one module each, behind `brain.port.Provider`.

`local` quotes the best passage: no key, no network. A module for a language model imports its SDK only here,
turns its failures into the local answer, and says in its README what it sends where.
"""
