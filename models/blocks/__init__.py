"""Registry of the blocks a hybrid may stack, one file each. A block's table: `kind`, then the fields of its Config."""

import difflib
from typing import Any

from foldline.models.blocks import (
    bilstm,
    conformer,
    conv,
    glu,
    gru,
    hierarchical,
    inception,
    lru,
    lstm,
    mingru,
    minlstm,
    relative_transformer,
    residual_bilstm,
    se_resnet,
    squeezeformer,
    stable,
    tcn,
    time2vec,
    transformer,
    tsmixer,
    unet,
    wavenet,
)
from foldline.models.contract import Block, Part
from foldline.models.ops.covariates import CovariateBlock

BLOCKS: dict[str, Part] = {
    "bilstm": Part(bilstm.Config, bilstm.BiLSTM),
    "conformer": Part(conformer.Config, conformer.Conformer),
    "conv": Part(conv.Config, conv.Conv),
    "glu": Part(glu.Config, glu.GLU),
    "gru": Part(gru.Config, gru.GRU),
    "hierarchical": Part(hierarchical.Config, hierarchical.Hierarchical),
    "inception": Part(inception.Config, inception.Inception),
    "lru": Part(lru.Config, lru.LRU),
    "lstm": Part(lstm.Config, lstm.LSTM),
    "mingru": Part(mingru.Config, mingru.MinGRU),
    "minlstm": Part(minlstm.Config, minlstm.MinLSTM),
    "relative-transformer": Part(relative_transformer.Config, relative_transformer.RelativeTransformer),
    "residual-bilstm": Part(residual_bilstm.Config, residual_bilstm.ResidualBiLSTM),
    "squeezeformer": Part(squeezeformer.Config, squeezeformer.Squeezeformer),
    "se-resnet": Part(se_resnet.Config, se_resnet.SEResNet),
    "stable": Part(stable.Config, stable.Stable),
    "tcn": Part(tcn.Config, tcn.TCN),
    "time2vec": Part(time2vec.Config, time2vec.Time2Vec),
    "transformer": Part(transformer.Config, transformer.Transformer),
    "tsmixer": Part(tsmixer.Config, tsmixer.TSMixer),
    "unet": Part(unet.Config, unet.UNet),
    "wavenet": Part(wavenet.Config, wavenet.WaveNet),
}


def configure(table: dict[str, Any]) -> tuple[Part, Any]:
    """Return (registry entry, its config) of a block's table.

    Raises:
        ValueError: there is no such kind, or a field's value is impossible.
    """
    fields = dict(table)
    kind = str(fields.pop("kind", ""))
    if kind not in BLOCKS:
        near = difflib.get_close_matches(kind, BLOCKS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"A block's kind must be in the registry, but is {kind!r}.{hint} Known: {', '.join(BLOCKS)}.")
    return BLOCKS[kind], BLOCKS[kind].config(**fields)


def build(part: Part, config: Any, inputs: int, static_width: int) -> Block:
    """Make a block on `inputs` channels; static_width: E, width of the embedded statics, for those that read them."""
    reads = isinstance(part.make, type) and issubclass(part.make, CovariateBlock)
    block: Block = part.make(config, inputs, static_width) if reads else part.make(config, inputs)
    return block
