"""Backbones and heads: plain torch, one file a backbone."""
