// What the server wrote into the page: what the lake is called, and questions to start with.

/** How callers sign in, where they must. */
export type SignIn =
  | {
      kind: "issuer";
      issuer: string;
      authorization_endpoint: string;
      token_endpoint: string;
      client_id: string;
      scopes: string[];
    }
  | { kind: "app_service" }
  | { kind: "api_key" }
  /** The issuer does not answer. */
  | { kind: "unavailable" };

interface Lake {
  title: string;
  description: string;
  examples: string[];
  sign_in: SignIn | null;
}

/** The server writes it as JSON into an attribute of the body; a page that came from elsewhere has none. */
function read(): Lake {
  try {
    return JSON.parse(document.body.dataset.lake ?? "") as Lake;
  } catch {
    return { title: "the lake", description: "", examples: [], sign_in: null };
  }
}

export const lake: Lake = read();
