// What is left of the page when drawing it fails: a word about it, and the way back. What was asked goes on at the server.

import { Component, type ComponentChildren } from "preact";

export class Boundary extends Component<{ children: ComponentChildren }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static override getDerivedStateFromError() {
    return { isBroken: true };
  }

  override componentDidCatch(error: unknown): void {
    console.error("the page cannot be drawn", error);
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <div class="shell" role="alert">
        <h1>This page has failed</h1>
        <p>What you asked goes on, and is in the history. Reload the page to see it.</p>
        <p>
          <button type="button" class="primary" onClick={() => location.reload()}>
            Reload
          </button>
        </p>
      </div>
    );
  }
}
