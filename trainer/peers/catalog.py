"""All peers by name, the cheap ones first: the order of the table."""

from collections.abc import Mapping

from trainer.peers import autoencoders, classical, frequency, next_item, ngram, smartguard
from trainer.peers.peer import Fit

PEERS: Mapping[str, Fit] = {
    "ngram": ngram.fit,
    "frequency": frequency.fit,
    "half_space_trees": classical.half_space_trees,
    "isolation_forest": classical.isolation_forest,
    "lof": classical.lof,
    "ocsvm": classical.ocsvm,
    "gru_autoencoder": autoencoders.gru_autoencoder,
    "lstm_attention": next_item.lstm_attention,
    "sasrec": next_item.sasrec,
    "transformer_autoencoder": autoencoders.transformer_autoencoder,
    "smartguard": smartguard.fit,
}
# What trains by epochs, so that fewer can be asked for.
NETWORKS = ("gru_autoencoder", "lstm_attention", "sasrec", "transformer_autoencoder", "smartguard")
