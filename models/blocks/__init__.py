"""Registry of the blocks a hybrid may stack, one file each. A block's table: `kind`, then the fields of its Config."""

from models.base import Part
from models.blocks import bilstm, conv, gru, tcn, transformer

BLOCKS: dict[str, Part] = {
    "bilstm": Part(bilstm.Config, bilstm.BiLSTM),
    "conv": Part(conv.Config, conv.Conv),
    "gru": Part(gru.Config, gru.GRU),
    "tcn": Part(tcn.Config, tcn.TCN),
    "transformer": Part(transformer.Config, transformer.Transformer),
}
