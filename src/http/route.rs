//! Every path of the server and the methods it takes.

use warp::http::Method;

use super::page::Asset;
use crate::conversation::ConversationId;

/// A path that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/` and `/api/`.
    Page,
    /// `/api/assets/{name}`: under `/api/`, so that it is there on a Function App too.
    PageAsset(&'static Asset),
    /// `/api/health`.
    Health,
    /// `/api/ready`.
    Ready,
    /// `/api/openapi.json`.
    OpenApi,
    /// Below `/api/chat/`, where a caller is needed.
    Chat(Chat),
}

/// A path below `/api/chat/`. All that belongs to somebody is here, and nothing of it is answered without a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chat {
    /// `/api/chat/start`.
    Start,
    /// `/api/chat/history`.
    History,
    /// `/api/chat/{id}/status`.
    Status(ConversationId),
    /// `/api/chat/{id}/events`.
    Events(ConversationId),
    /// `/api/chat/{id}/ws`.
    Socket(ConversationId),
    /// `/api/chat/{id}`.
    Conversation(ConversationId),
    /// `/api/chat/{id}/messages`.
    Messages(ConversationId),
    /// `/api/chat/{id}/cancel`.
    Cancel(ConversationId),
    /// `/api/chat/{id}/feedback`.
    Feedback(ConversationId),
    /// `/api/chat/{id}/results/{n}`, n from 1.
    Result(ConversationId, u32),
}

impl Route {
    /// The route of `path`, if it exists. An id that is not a UUID and a number that is none make a path that does not.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments.as_slice() {
            [""] | ["api"] | ["api", ""] => Self::Page,
            ["api", "assets", name] => Self::PageAsset(Asset::named(name)?),
            ["api", "health"] => Self::Health,
            ["api", "ready"] => Self::Ready,
            ["api", "openapi.json"] => Self::OpenApi,
            ["api", "chat", "start"] => Self::Chat(Chat::Start),
            ["api", "chat", "history"] => Self::Chat(Chat::History),
            ["api", "chat", id] => Self::Chat(Chat::Conversation(id.parse().ok()?)),
            ["api", "chat", id, "status"] => Self::Chat(Chat::Status(id.parse().ok()?)),
            ["api", "chat", id, "events"] => Self::Chat(Chat::Events(id.parse().ok()?)),
            ["api", "chat", id, "ws"] => Self::Chat(Chat::Socket(id.parse().ok()?)),
            ["api", "chat", id, "messages"] => Self::Chat(Chat::Messages(id.parse().ok()?)),
            ["api", "chat", id, "cancel"] => Self::Chat(Chat::Cancel(id.parse().ok()?)),
            ["api", "chat", id, "feedback"] => Self::Chat(Chat::Feedback(id.parse().ok()?)),
            ["api", "chat", id, "results", number] => Self::Chat(Chat::Result(id.parse().ok()?, result_number(number)?)),
            _ => return None,
        })
    }

    /// The path with the names of its parameters in place of their values.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Page => "/",
            Self::PageAsset(_) => "/api/assets/{name}",
            Self::Health => "/api/health",
            Self::Ready => "/api/ready",
            Self::OpenApi => "/api/openapi.json",
            Self::Chat(Chat::Start) => "/api/chat/start",
            Self::Chat(Chat::History) => "/api/chat/history",
            Self::Chat(Chat::Status(_)) => "/api/chat/{id}/status",
            Self::Chat(Chat::Events(_)) => "/api/chat/{id}/events",
            Self::Chat(Chat::Socket(_)) => "/api/chat/{id}/ws",
            Self::Chat(Chat::Conversation(_)) => "/api/chat/{id}",
            Self::Chat(Chat::Messages(_)) => "/api/chat/{id}/messages",
            Self::Chat(Chat::Cancel(_)) => "/api/chat/{id}/cancel",
            Self::Chat(Chat::Feedback(_)) => "/api/chat/{id}/feedback",
            Self::Chat(Chat::Result(..)) => "/api/chat/{id}/results/{n}",
        }
    }

    /// The value of `Allow`.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Chat(Chat::Start | Chat::Cancel(_) | Chat::Feedback(_)) => "POST, OPTIONS",
            Self::Chat(Chat::Conversation(_)) => "DELETE, OPTIONS",
            Self::Chat(Chat::Messages(_) | Chat::Result(..)) => "GET, POST, HEAD, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether the route takes `method`. HEAD is a GET whose body the server leaves out.
    pub(super) fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }
}

fn result_number(text: &str) -> Option<u32> {
    let is_plain = !text.starts_with(['+', '0']);
    text.parse().ok().filter(|_| is_plain)
}
