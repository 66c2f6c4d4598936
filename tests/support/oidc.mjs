// An OpenID Connect provider for tests: oidc-provider on a port of its own, which it prints. It ends with its standard input.
//
// Scripts get tokens by client credentials: the client is the subject. The page's client is a public one with the authorization code flow
// and PKCE, and signs in on the provider's development page, where any name is a user.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, ...redirects] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(createRequire(`${folder}/`).resolve("oidc-provider")));

const key = (type, options, alg) => {
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
  return { ...jwk, alg, use: "sig", kid: alg };
};
const AUDIENCE = "urn:asklake";
const script = (client_id) => ({
  client_id,
  client_secret: `${client_id}-secret`,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
});
const page = {
  client_id: "page",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code"],
  redirect_uris: redirects,
  response_types: ["code"],
  application_type: "native",
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [script("ann"), script("bob"), script("support"), ...(redirects.length ? [page] : [])],
    jwks: { keys: [key("rsa", { modulusLength: 2048 }, "RS256"), key("ec", { namedCurve: "P-256" }, "ES256")] },
    scopes: ["openid", "ask"],
    pkce: { required: () => true },
    clientBasedCORS: () => true,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (_ctx, token) => (token.clientId === "support" ? { roles: ["support"] } : undefined),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: redirects.length > 0 },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: "ask",
          audience: resource.endsWith(":elsewhere") ? resource : AUDIENCE,
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: resource.endsWith(":es256") ? "ES256" : "RS256" } },
        }),
      },
    },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
process.stdin.on("end", () => process.exit(0)).resume();
