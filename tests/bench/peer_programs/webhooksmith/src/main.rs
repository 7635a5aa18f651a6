//! A webhook sender on the crate webhooksmith, for the bench: the program of tests/bench/compiled_peers.py.
//!
//! Its commands are those of hook.Run in ../golang. Every event is queued in its own transaction. A batch of 500 and a
//! pool of 50 connections: the crate advises a pool close to the batch, but each is a process of PostgreSQL.

use std::{collections::BTreeMap, env, error::Error, time::Duration};

use futures::future::join_all;
use serde_json::{json, Value};
use tokio::{
    signal::unix::{signal, SignalKind},
    time::{sleep_until, Instant},
};
use webhooksmith::WebhookEngine;

const ENDPOINTS: usize = 100;
const SECRET: &str = "secretsecretsecretsecret";
const AT_ONCE: usize = 32;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

async fn engine() -> Outcome<WebhookEngine> {
    Ok(WebhookEngine::builder()
        .database_url(env::var("PEER_DATABASE")?)
        .allow_insecure_urls()
        .batch_size(500)
        .max_connections(50)
        .poll_interval(Duration::from_millis(10))
        .http_timeout(Duration::from_secs(10))
        .build()
        .await?)
}

fn nanoseconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a clock after 1970").as_nanos() as u64
}

/// About 500 bytes, as tests/bench/peers.py sends them.
fn body(number: usize) -> Value {
    json!({"messages": [{"id": format!("true_17680561234@c.us_{number:020X}"), "body": "x".repeat(350), "type": "chat",
        "metadata": {"ts_ns": nanoseconds(), "seq_no": number}}], "instanceId": "1"})
}

fn path(number: usize, hanging: usize) -> String {
    if number < hanging {
        format!("/hang/{}", number % 10)
    } else {
        format!("/{}", number % ENDPOINTS)
    }
}

/// Queues HANGING hooks of endpoints that hang, then COUNT others, through AT_ONCE connections.
async fn fill(url: &str, count: usize, hanging: usize) -> Outcome<()> {
    let engine = engine().await?;
    let mut registered = BTreeMap::new();
    for number in 0..hanging + count {
        let path = path(number, hanging);
        if !registered.contains_key(&path) {
            let endpoint = engine.register(&format!("{url}{path}"), SECRET).await?;
            registered.insert(path, endpoint.id);
        }
    }
    // The hanging ones first, so that they are due first.
    for range in [0..hanging, hanging..hanging + count] {
        let numbers: Vec<usize> = range.collect();
        for some in numbers.chunks(AT_ONCE) {
            let sends = some.iter().map(|&number| {
                let endpoint = registered[&path(number, hanging)];
                engine.send("message", body(number), endpoint)
            });
            for sent in join_all(sends).await {
                sent?;
            }
        }
    }
    Ok(())
}

async fn emit(url: &str, rate: f64, seconds: f64) -> Outcome<()> {
    let engine = engine().await?;
    let mut registered = BTreeMap::new();
    for endpoint in engine.list_endpoints().await? {
        registered.insert(endpoint.url, endpoint.id);
    }
    let mut committed = Vec::new();
    let began = Instant::now();
    for number in 0..(rate * seconds) as usize {
        sleep_until(began + Duration::from_secs_f64(number as f64 / rate)).await;
        let path = path(number, 0);
        let sequence = 1_000_000 + number;
        let mut transaction = engine.pool().begin().await?;
        let endpoint = registered[&format!("{url}{path}")];
        engine
            .send_in_tx("message", body(sequence), endpoint, &mut transaction)
            .await?;
        transaction.commit().await?;
        committed.push(json!([path, sequence, nanoseconds()]));
    }
    println!("{}", Value::from(committed));
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["migrate"] => engine().await?.migrate().await?,
        ["fill", url, count, hanging] => fill(url, count.parse()?, hanging.parse()?).await?,
        ["work"] => {
            let mut ended = signal(SignalKind::terminate())?;
            engine()
                .await?
                .run_graceful(async move {
                    ended.recv().await;
                })
                .await
        }
        ["emit", url, rate, seconds] => emit(url, rate.parse()?, seconds.parse()?).await?,
        _ => return Err("migrate, fill URL COUNT HANGING, work, or emit URL RATE SECONDS".into()),
    }
    Ok(())
}
