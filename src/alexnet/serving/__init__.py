"""Trained networks as a service: pictures come over HTTP, and answers go back that are those of `alexnet predict`.

request -> front -> body -> decoding threads -> batcher -> one computing thread
           front    bodies  service             batcher    served
"""
