// What the server wrote into the page: what the lake is called, and questions to start with.

interface Lake {
  title: string;
  description: string;
  examples: string[];
}

/** The server writes it as JSON into an attribute of the body; a page that came from elsewhere has none. */
function read(): Lake {
  try {
    return JSON.parse(document.body.dataset.lake ?? "") as Lake;
  } catch {
    return { title: "the lake", description: "", examples: [] };
  }
}

export const lake: Lake = read();
