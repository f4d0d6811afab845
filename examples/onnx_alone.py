"""Use an exported network with onnxruntime and numpy alone: nothing of agegender, no torch.

    python examples/onnx_alone.py model.onnx crops.npy

crops.npy holds face crops in UTKFace's geometry, (N, 200, 200, 3) uint8 RGB. They go in as they
are: resizing, normalisation and decoding are in the graph.
"""

import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
age, age_sd, p_female = session.run(["age", "age_sd", "p_female"], {"crops": np.load(sys.argv[2])})
for years, spread, p in zip(age, age_sd, p_female, strict=True):
    print(f"{years:.2f} years (sd {spread:.2f}), p(female) {p:.4f}")
