"""Operations that blocks and systems share."""
