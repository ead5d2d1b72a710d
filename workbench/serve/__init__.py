"""Serves saved artifacts on the Open Inference Protocol V2, REST and gRPC; speaks Artifact only.

repository.py   the folder of models, as Triton lays it out      models.py    what is loaded; swapped while it answers
server.py       both ports, from start to a graceful stop        process.py   the same as a subprocess, for notebooks and tests
api_keys.py     who may predict and who may administer
"""
