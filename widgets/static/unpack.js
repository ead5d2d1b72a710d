// What Python packs with zlib comes as bytes; this file is put in front of others and is no module of its own.

async function unpacked(deflated) {
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).blob();
}
