"""The same ONNX file behind kserve's own server, for serve_speed.py: run by the Python that has kserve (KSERVE_PYTHON).

python _kserve_model.py MODEL.onnx INPUT OUTPUT --http_port PORT --grpc_port PORT
"""

from __future__ import annotations

import sys

import onnxruntime
from kserve import InferOutput, InferResponse, Model, ModelServer


class Served(Model):
    def __init__(self, path: str, given: str, told: str) -> None:
        super().__init__("digits")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.given, self.told, self.ready = given, told, True

    def predict(self, payload, headers=None, response_headers=None):  # noqa: ANN001, ANN201 - kserve's own signature
        (array,) = self.session.run([self.told], {self.given: payload.inputs[0].as_numpy()})
        output = InferOutput(self.told, list(array.shape), "FP32")
        output.set_data_from_numpy(array, binary_data=False)
        return InferResponse(response_id=payload.id or "1", model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    path, given, told = sys.argv[1:4]
    sys.argv[1:4] = []
    ModelServer().start([Served(path, given, told)])
