// What the server is asked. The token follows the # of the address, which browsers do not send.

const token = location.hash.slice(1);
const tab = String(Math.random());

export async function ask(path, method = "GET", body, headers = {}, signal) {
  headers["X-Token"] = token;
  const answer = await fetch(`/api/${path}`, { method, body, headers, signal }).catch(() => null);
  if (!answer) throw new Error("ccsr does not answer: was it ended?");
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.error ?? `ccsr answered ${answer.status}`);
}

export const post = async (path, fields) =>
  (await ask(path, "POST", JSON.stringify(fields))).json();

export const send = async (file) =>
  (await ask("pictures", "POST", file, { "X-Name": encodeURIComponent(file.name) })).json();

// Calls `paint(sides, left, top, image)` for each part of a view as it comes.
export async function view(fields, signal, paint) {
  const answer = await ask("view", "POST", JSON.stringify({ tab, ...fields }), {}, signal);
  const take = taker(answer.body.getReader());
  for (;;) {
    const [sides, left, top, width, height] = new Uint32Array((await take(20)).buffer);
    if (sides) {
      const { buffer } = await take(4 * width * height);
      signal.throwIfAborted();
      paint(sides, left, top, new ImageData(new Uint8ClampedArray(buffer), width, height));
    } else if (width) {
      throw new Error(new TextDecoder().decode(await take(width)));
    } else return;
  }
}

// A function that gives the next `count` bytes of a stream.
function taker(reader) {
  let rest = new Uint8Array();
  return async (count) => {
    const result = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      if (!rest.length) rest = (await reader.read()).value;
      if (!rest) throw new Error("ccsr ended in the middle of a view");
      const part = rest.subarray(0, count - filled);
      result.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return result;
  };
}
