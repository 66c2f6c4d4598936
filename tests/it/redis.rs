//! The way to Redis, against a real server that is killed and comes back.

use asklake::redis::{Error, Redis};

use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url()).unwrap();
    let count = redis::cmd("INCRBY").arg("n").arg(2).to_owned();
    assert_eq!(redis.run::<u64>(&count).await.unwrap(), 2);
    assert_eq!(redis.run::<u64>(&count).await.unwrap(), 4);

    server.kill();
    assert!(matches!(redis.probe().await, Err(Error::Unavailable { .. })));

    server.resume();
    // The command that finds the connection lost fails; one of the next has a new one.
    let mut tries = 0;
    while redis.probe().await.is_err() {
        tries += 1;
        assert!(tries < 5, "it is not found again");
    }
    assert_eq!(redis.run::<u64>(&count).await.unwrap(), 2, "it came back empty");
}

#[tokio::test]
async fn a_server_that_was_never_there_is_an_error_and_found_when_it_starts() {
    let server = RedisServer::start();
    server.kill();
    let redis = Redis::new(&server.url()).unwrap();
    assert!(matches!(redis.probe().await, Err(Error::Unavailable { .. })));
    server.resume();
    let mut tries = 0;
    while redis.probe().await.is_err() {
        tries += 1;
        assert!(tries < 5, "it is not found");
    }
}

#[tokio::test]
async fn no_password_is_told() {
    let redis = Redis::new("redis://user:hunter2@127.0.0.1:1").unwrap();
    let error = redis.probe().await.unwrap_err();
    assert!(!format!("{redis:?} {error:?} {error}").contains("hunter2"));
    let error = Redis::new("http://user:hunter2@host").unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}
