"""FastAPI over ONNX Runtime in its fastest form: orjson both ways and no models of pydantic."""

import os

import numpy as np
import onnxruntime
import orjson
from fastapi import FastAPI, Request, Response

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ["BENCH_THREADS"])
session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
app = FastAPI()


@app.post("/infer")
async def infer(request: Request):
    x = np.array(orjson.loads(await request.body())["data"], "float32")
    y = session.run(None, {name: x})[0]
    return Response(orjson.dumps({"data": y}, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


@app.get("/ready")
async def ready():
    return {}
