// Asks to sign in, where the server answers nobody else.

import { lake } from "../state/lake";
import { signIn, signInFault, takeKey } from "../state/sign-in";

export function SignIn() {
  const kind = lake.sign_in?.kind;
  return (
    <section class="welcome">
      <h2>Sign in to ask</h2>
      {signInFault.value && (
        <p class="error" role="alert">
          {signInFault.value}
        </p>
      )}
      {kind === "api_key" && <KeyForm />}
      {kind === "unavailable" && (
        <p class="quiet">The issuer that asklake signs in with does not answer. Reload the page to try again.</p>
      )}
      {(kind === "issuer" || kind === "app_service") && (
        <p class="actions">
          <button type="button" class="primary" onClick={() => void signIn()}>
            Sign in
          </button>
        </p>
      )}
    </section>
  );
}

function KeyForm() {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const key = new FormData(event.target as HTMLFormElement).get("key");
    if (typeof key === "string" && key.trim()) takeKey(key.trim());
  };
  return (
    <form onSubmit={submit}>
      <p>
        <label for="key">API key</label>
      </p>
      <p class="actions">
        <input id="key" name="key" type="password" autocomplete="off" required />
        <button type="submit" class="primary">
          Use it
        </button>
      </p>
    </form>
  );
}
