//! Azure Queue Storage as the host speaks to it: plain REST signed with the account's key. Nothing of asklake's adapter is in here, so
//! that the two can only agree through the queue.

use std::{fmt::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac as _};
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use sha2::Sha256;
use time::{OffsetDateTime, macros::format_description};

/// A storage account's queues.
#[derive(Clone, Debug)]
pub struct Storage {
    client: reqwest::Client,
    endpoint: String,
    account: String,
    key: Vec<u8>,
}

/// A message that was received. The dates are the queue's own texts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Changes with every delivery and renewal.
    pub receipt: String,
    /// Deliveries, this one included.
    pub dequeue_count: u32,
    /// As it lies in the queue: base64.
    pub text: String,
    /// When it was sent.
    pub inserted: String,
    /// When it is removed.
    pub expires: String,
    /// When it is visible again.
    pub next_visible: String,
}

/// Why a call of the queue failed.
#[derive(Debug)]
pub struct Refused(pub String);

impl Storage {
    /// The account of a connection string with `AccountName`, `AccountKey` and `QueueEndpoint`.
    pub fn new(connection_string: &str) -> Self {
        let field = |name: &str| {
            let pairs = connection_string.split(';').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("no {name} for the emulator")).1
        };
        Self {
            client: reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap(),
            endpoint: field("QueueEndpoint").trim_end_matches('/').to_owned(),
            account: field("AccountName").to_owned(),
            key: BASE64.decode(field("AccountKey")).unwrap(),
        }
    }

    /// Creates a queue, unless it is there.
    pub async fn create(&self, queue: &str) -> Result<(), Refused> {
        self.call(Method::PUT, queue, &[], None).await.map(drop)
    }

    /// Sends a text, base64-encoded.
    pub async fn send(&self, queue: &str, text: &str) -> Result<(), Refused> {
        self.send_after(queue, text, Duration::ZERO).await
    }

    /// Sends a text, base64-encoded, that is visible after `delay`.
    pub async fn send_after(&self, queue: &str, text: &str, delay: Duration) -> Result<(), Refused> {
        self.put(queue, &BASE64.encode(text), delay).await
    }

    /// Sends what is to lie in the queue.
    pub async fn send_as_is(&self, queue: &str, text: &str) -> Result<(), Refused> {
        self.put(queue, text, Duration::ZERO).await
    }

    async fn put(&self, queue: &str, text: &str, delay: Duration) -> Result<(), Refused> {
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        let query = [("visibilitytimeout", seconds(delay).to_string())];
        self.call(Method::POST, &format!("{queue}/messages"), &query, Some(body)).await.map(drop)
    }

    /// Receives at most `max` messages for `lease`.
    pub async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Message>, Refused> {
        let query = [("numofmessages", max.to_string()), ("visibilitytimeout", seconds(lease).max(1).to_string())];
        let response = self.call(Method::GET, &format!("{queue}/messages"), &query, None).await?;
        let xml = response.text().await.map_err(|error| Refused(error.to_string()))?;
        Ok(xml.split("<QueueMessage>").skip(1).map(message).collect())
    }

    /// Makes a message invisible for `time` from now.
    pub async fn update(&self, queue: &str, message: &mut Message, time: Duration) -> Result<(), Refused> {
        let query = [("popreceipt", message.receipt.clone()), ("visibilitytimeout", seconds(time).to_string())];
        let response = self.call(Method::PUT, &format!("{queue}/messages/{}", message.id), &query, None).await?;
        message.receipt = header(response.headers(), "x-ms-popreceipt");
        Ok(())
    }

    /// Removes a message.
    pub async fn delete(&self, queue: &str, message: &Message) -> Result<(), Refused> {
        let query = [("popreceipt", message.receipt.clone())];
        self.call(Method::DELETE, &format!("{queue}/messages/{}", message.id), &query, None).await.map(drop)
    }

    /// How many messages there are, invisible ones too.
    pub async fn count(&self, queue: &str) -> Result<usize, Refused> {
        let response = self.call(Method::GET, queue, &[("comp", "metadata".to_owned())], None).await?;
        Ok(header(response.headers(), "x-ms-approximate-messages-count").parse().unwrap())
    }

    async fn call(&self, method: Method, path: &str, query: &[(&str, String)], body: Option<String>) -> Result<Response, Refused> {
        let body = body.unwrap_or_default();
        let url = format!("{}/{path}", self.endpoint);
        let url = reqwest::Url::parse_with_params(&url, query).unwrap();
        let format = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        let date = OffsetDateTime::now_utc().format(format).unwrap();
        let signature = self.sign(&method, &url, query, body.len(), &date);
        let request = self
            .client
            .request(method, url)
            .header("x-ms-date", date)
            .header("x-ms-version", "2021-12-02")
            .header("authorization", format!("SharedKey {}:{signature}", self.account))
            .body(body);
        let response = request.send().await.map_err(|error| Refused(error.to_string()))?;
        if response.status().is_success() || response.status() == StatusCode::CONFLICT {
            return Ok(response);
        }
        let status = response.status();
        Err(Refused(format!("{status}: {}", response.text().await.unwrap_or_default())))
    }

    /// The signature by <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
    fn sign(&self, method: &Method, url: &reqwest::Url, query: &[(&str, String)], length: usize, date: &str) -> String {
        let length = if length == 0 { String::new() } else { length.to_string() };
        let headers = format!("x-ms-date:{date}\nx-ms-version:2021-12-02\n");
        let mut text = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{headers}/{}{}", self.account, url.path());
        let mut sorted: Vec<_> = query.iter().collect();
        sorted.sort();
        for (name, value) in sorted {
            write!(text, "\n{name}:{value}").unwrap();
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(text.as_bytes());
        BASE64.encode(mac.finalize().into_bytes())
    }
}

/// The text that a message carries, if it is base64 of UTF-8.
pub fn decode(text: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(text).ok()?).ok()
}

fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).try_into().unwrap()
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_else(|| panic!("the queue answers without {name}")).to_owned()
}

fn message(xml: &str) -> Message {
    let field = |name: &str| {
        let inner = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</")).map(|(inner, _)| inner);
        inner.unwrap_or_default().replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
    };
    Message {
        id: field("MessageId"),
        receipt: field("PopReceipt"),
        dequeue_count: field("DequeueCount").parse().unwrap(),
        text: field("MessageText"),
        inserted: field("InsertionTime"),
        expires: field("ExpirationTime"),
        next_visible: field("TimeNextVisible"),
    }
}
