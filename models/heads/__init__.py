"""Registry of the heads, one file each. A head's table: `kind`, then the fields of its Config."""

from models.base import Part
from models.heads import l1

HEADS: dict[str, Part] = {
    "l1": Part(l1.Config, l1.L1),
}
