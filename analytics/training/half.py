"""ONNX graphs whose larger weights are stored in half precision and widened when the file is loaded."""

from __future__ import annotations

import numpy as np
import onnx

LARGE = 1000  # numbers, from which a weight is worth storing so


def halved(exported: bytes) -> onnx.ModelProto:
    """Return an exported graph with its larger weights in half precision; checked."""
    graph = onnx.load_from_string(exported)
    for weight in list(graph.graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size > LARGE:
            half = f"{weight.name}.half"
            graph.graph.node.insert(0, onnx.helper.make_node("Cast", [half], [weight.name], to=onnx.TensorProto.FLOAT))
            weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), half))
    onnx.checker.check_model(graph, full_check=True)
    return graph
