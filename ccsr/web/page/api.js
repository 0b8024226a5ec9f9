// What the server is asked. The token comes after the # of the address, which no server gets to see.

export const token = location.hash.slice(1);
export const tab = crypto.randomUUID?.() ?? String(Math.random());

export async function ask(path, method = "GET", body, headers = {}, signal) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, { method, body, signal,
      headers: { "X-Token": token, ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("ccsr does not answer any more: was it ended?");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ?? `ccsr answered ${answer.status}`);
  }
  return answer;
}

export const post = async (path, fields) => (await ask(path, "POST", JSON.stringify(fields))).json();

export async function send(file) {
  const headers = { "X-Name": encodeURIComponent(file.name) };
  return (await ask("pictures", "POST", file, headers)).json();
}

// Calls `paint(sides, left, top, image)` for each part of a view as it comes.
export async function view(fields, signal, paint) {
  const answer = await ask("view", "POST", JSON.stringify({ tab, ...fields }), {}, signal);
  const take = taker(answer.body.getReader());
  for (;;) {
    const [sides, left, top, width, height] = new Uint32Array((await take(20)).buffer);
    if (!sides) {
      if (width) throw new Error(new TextDecoder().decode(await take(width)));
      return;
    }
    const bytes = await take(4 * width * height);
    paint(sides, left, top, new ImageData(new Uint8ClampedArray(bytes.buffer), width, height));
  }
}

// A function that gives the next `count` bytes of a stream.
function taker(reader) {
  let rest = new Uint8Array();
  return async (count) => {
    const result = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      if (!rest.length) {
        const { done, value } = await reader.read();
        if (done) throw new Error("ccsr ended in the middle of a view");
        rest = value;
      }
      const part = rest.subarray(0, count - filled);
      result.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return result;
  };
}
