"""FastAPI over ONNX Runtime in its fastest form: orjson both ways and no models of pydantic."""

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from onnx_session import open_session

session, name = open_session()
app = FastAPI()


@app.post("/infer")
async def infer(request: Request):
    x = np.array(orjson.loads(await request.body())["data"], "float32")
    y = session.run(None, {name: x})[0]
    return Response(orjson.dumps({"data": y}, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


@app.get("/ready")
async def ready():
    return {}
