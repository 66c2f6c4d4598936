// Who is signed in, where the server wants to know: the authorization code flow with PKCE (RFC 7636, RFC 9700) with the issuer that it names,
// without a secret; or App Service's own page; or an API key.
//
// The token is kept for this tab alone and goes with it. It is sent in a header, never in an address.

import { signal } from "@preact/signals";
import { lake } from "./lake";

const TOKEN = "asklake.token";
const FLOW = "asklake.sign-in";
/** A token that ends sooner than this is not used any more. */
const MARGIN_MS = 30_000;

interface Token {
  value: string;
  /** In milliseconds since 1970; null for one without an end. */
  endsAt: number | null;
}

/** What is to be known when the issuer sends the browser back. */
interface Flow {
  verifier: string;
  state: string;
  nonce: string | null;
  /** The conversation that was shown. */
  hash: string;
}

/** Whether nothing can be asked or read before somebody signs in. */
export const needsSignIn = signal(false);
/** Why signing in has failed; empty when nothing went wrong. */
export const signInFault = signal("");

const way = lake.sign_in;
const NOT_TAKEN =
  way?.kind === "api_key"
    ? "asklake does not accept this key. Try another one."
    : "asklake does not accept this sign-in any more. Sign in again.";

/** The token for requests; null where none is there or needed. */
export function token(): string | null {
  const kept = read<Token>(TOKEN);
  if (!kept || (kept.endsAt !== null && kept.endsAt - MARGIN_MS < Date.now())) return null;
  return kept.value;
}

/** Whether conversations belong to somebody, and not to this device. */
export const hasOwners = way !== null;

/** The server does not take what was sent, or nothing was. */
export function refused(): void {
  // Several requests are refused at once, and only the first one finds the token.
  if (token() !== null) signInFault.value = NOT_TAKEN;
  sessionStorage.removeItem(TOKEN);
  needsSignIn.value = true;
}

/** Signs in with what somebody has typed. */
export function takeKey(key: string): void {
  write(TOKEN, { value: key, endsAt: null });
  signInFault.value = "";
  needsSignIn.value = false;
}

/** Leaves the page to sign in. */
export async function signIn(): Promise<void> {
  if (way?.kind === "app_service") {
    const back = encodeURIComponent(location.pathname + location.hash);
    location.assign(`/.auth/login/aad?post_login_redirect_uri=${back}`);
  }
  if (way?.kind !== "issuer") return;
  const oauth = await import("oauth4webapi");
  const verifier = oauth.generateRandomCodeVerifier();
  const nonce = way.scopes.includes("openid") ? oauth.generateRandomNonce() : null;
  const flow: Flow = { verifier, state: oauth.generateRandomState(), nonce, hash: location.hash };
  write(FLOW, flow);
  const address = new URL(way.authorization_endpoint);
  const parameters: Record<string, string> = {
    client_id: way.client_id,
    redirect_uri: here(),
    response_type: "code",
    scope: way.scopes.join(" "),
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state: flow.state,
    ...(nonce ? { nonce } : {}),
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  location.assign(address);
}

/** Takes up what the issuer has sent the browser back with, if it has; then asks to sign in where nobody is. */
export async function completeSignIn(): Promise<void> {
  const flow = read<Flow>(FLOW);
  const parameters = new URLSearchParams(location.search);
  if (way?.kind === "issuer" && flow && (parameters.has("code") || parameters.has("error"))) {
    sessionStorage.removeItem(FLOW);
    const answer = new URL(location.href);
    history.replaceState(null, "", location.pathname + flow.hash);
    try {
      write(TOKEN, await exchanged(answer, flow));
    } catch {
      signInFault.value = "Signing in did not work. Try again.";
    }
  }
  needsSignIn.value = way !== null && way.kind !== "app_service" && token() === null;
}

async function exchanged(answer: URL, flow: Flow): Promise<Token> {
  if (way?.kind !== "issuer") throw new Error("there is no issuer");
  const oauth = await import("oauth4webapi");
  const { issuer, authorization_endpoint, token_endpoint } = way;
  const server = { issuer, authorization_endpoint, token_endpoint };
  const client = { client_id: way.client_id };
  const parameters = oauth.validateAuthResponse(server, client, answer, flow.state);
  // Only an issuer on this machine is one without TLS: the server takes no other.
  const options = { [oauth.allowInsecureRequests]: token_endpoint.startsWith("http://") };
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.None(),
    parameters,
    here(),
    flow.verifier,
    options,
  );
  const expected = flow.nonce ? { expectedNonce: flow.nonce } : {};
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, expected);
  const endsAt = tokens.expires_in === undefined ? null : Date.now() + tokens.expires_in * 1000;
  return { value: tokens.access_token, endsAt };
}

/** Where the issuer sends the browser back to. */
function here(): string {
  return location.origin + location.pathname;
}

function read<T>(key: string): T | null {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "null") as T | null;
  } catch {
    return null;
  }
}

function write(key: string, value: unknown): void {
  sessionStorage.setItem(key, JSON.stringify(value));
}
