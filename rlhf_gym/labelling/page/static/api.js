// Requests to the server this page came from.

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const PAUSE = 300; // milliseconds before what isn't ready is asked for again

// GET without a body, POST with one; 202 means that it isn't ready, and is asked again.
export async function ask(path, body) {
  for (;;) {
    const response = await fetch(path, {
      method: body ? "POST" : "GET",
      headers: body ? { "content-type": "application/json" } : {},
      body: body && JSON.stringify(body),
      credentials: "same-origin",
    });
    if (response.status === 202) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE)); // the server hasn't always waited
      continue;
    }
    if (response.ok) return response.headers.get("content-type").startsWith("image/") ? response.blob() : response.json();
    const told = await response.json().catch(() => ({}));
    const detail = typeof told.detail === "string" ? told.detail : `The server said ${response.status}`;
    throw new Refused(response.status, detail);
  }
}
