// A thread that runs the networks by onnxruntime.

import * as ort from "./ort/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 8) : 1;
ort.env.logLevel = "error";

const sessions = new Map();
const whole = ([first, second]) =>
  new ort.Tensor("int64", BigInt64Array.of(BigInt(first), BigInt(second)), [2]);

function session(model) {
  if (!sessions.has(model)) {
    const file = new URL(`./${model}.onnx`, import.meta.url).href;
    sessions.set(model, ort.InferenceSession.create(file, { executionProviders: ["wasm"] }));
  }
  return sessions.get(model);
}

let before = Promise.resolve();

async function run({ model, image, shape, scale, quality, ...numbers }) {
  const inputs = { image: new ort.Tensor("float32", image, [1, 3, ...shape]),
    scale: new ort.Tensor("float64", Float64Array.from(scale), [2]) };
  for (const name of ["corner", "whole", "origin", "size"]) inputs[name] = whole(numbers[name]);
  const network = await session(model);
  if (network.inputNames.includes("quality")) {
    inputs.quality = new ort.Tensor("float32", Float32Array.of(quality), [1]);
  }
  const { enlarged } = await network.run(inputs);
  const values = Float32Array.from(enlarged.data);
  enlarged.dispose();
  return values;
}

onmessage = ({ data: { number, ...task } }) => {
  before = before.then(() => run(task)).then(
    (values) => postMessage({ number, values }, [values.buffer]),
    (error) => postMessage({ number, error: String(error.message ?? error) }),
  );
};
