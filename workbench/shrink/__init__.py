"""Makes a checkpoint smaller than it is, however much larger than memory: tensor by tensor, shard by shard, resumable."""
