// anywidget gives a module two seconds to start, which a busy page can exceed; from then on the model would never again
// hear its kernel. So a model listens by itself, and says how much it has of each trait: Python sends what was lost.

const MS_UNTIL_THE_REST_ARRIVED = 500; // what was merely waiting for the module is heard by then
const sizeOf = (value) => value?.length ?? value?.byteLength ?? value ?? 0;

async function listenAlways(model, traits) {
  const raw = await model.widget_manager.get_model(model.get("own_id"));
  if (!raw?.comm) return; // an exported page has no kernel
  const hear = Object.getPrototypeOf(raw.constructor.prototype)._handle_comm_msg; // ipywidgets' own, which waits for nothing
  raw.comm.on_msg(hear.bind(raw));
  setTimeout(async () => {
    await raw.state_change;
    model.send({ kind: "listening", has: Object.fromEntries(traits.map((name) => [name, sizeOf(model.get(name))])) });
  }, MS_UNTIL_THE_REST_ARRIVED);
}
