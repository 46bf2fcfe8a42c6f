//! What is answered to a request, for each fault.

use std::io;

use actingweb_maintd::model::clock;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Fault;
use super::message::Message;

/// The type of the protocol's bodies.
const PROTOCOL: &str = "application/x-amz-json-1.0";

/// What comes back.
pub(super) enum Answer {
    /// All of this.
    Whole(Message),
    /// A part of this, and then the end of the connection.
    Half(Message),
    /// Something else.
    Gibberish,
    /// The end of the connection.
    None,
}

/// Answers a request, with the help of the server where that is to see it.
pub(super) async fn to(
    request: Message,
    fault: Option<Fault>,
    server: &mut BufReader<TcpStream>,
) -> io::Result<Answer> {
    let Some(fault) = fault else { return Ok(Answer::Whole(ask(server, &request).await?)) };
    Ok(match fault {
        Fault::Refused(status, code, message) => Answer::Whole(refused(status, code, message)),
        Fault::Cancelled(reasons) => Answer::Whole(cancelled(reasons)),
        Fault::Page(status) => Answer::Whole(page(status)),
        Fault::Gibberish => Answer::Gibberish,
        Fault::Unsent => Answer::None,
        Fault::Unanswered => {
            ask(server, &request).await?;
            Answer::None
        }
        Fault::CutOff => Answer::Half(ask(server, &request).await?),
        Fault::Doubtful => {
            ask(server, &request).await?;
            Answer::Whole(refused(500, "InternalServerError", "The request processing has failed"))
        }
        Fault::Late(time) => {
            let answer = ask(server, &request).await?;
            tokio::time::sleep(time).await;
            Answer::Whole(answer)
        }
        Fault::Partly(count) => Answer::Whole(partly(request, count, server).await?),
        Fault::Dated(ahead) => {
            let mut answer = ask(server, &request).await?;
            let date = ahead.map(|ahead| (clock::now() + ahead).format("%a, %d %b %Y %H:%M:%S GMT").to_string());
            answer.set("date", date);
            Answer::Whole(answer)
        }
        Fault::Told(changes) => {
            let mut answer = ask(server, &request).await?;
            let mut said: Value = serde_json::from_slice(&answer.body)?;
            for (place, value) in changes {
                tell(&mut said, place, value);
            }
            answer.body = said.to_string().into_bytes();
            answer.set("x-amz-crc32", None);
            Answer::Whole(answer)
        }
    })
}

/// Puts a value in a place, where there may have been another one or none.
fn tell(said: &mut Value, place: &str, value: Value) {
    let (parent, last) = place.rsplit_once('/').expect("a place");
    let parent = said.pointer_mut(parent).unwrap_or_else(|| panic!("nothing is at {parent}"));
    parent[last] = value;
}

/// What the server answers.
async fn ask(server: &mut BufReader<TcpStream>, request: &Message) -> io::Result<Message> {
    server.write_all(&request.bytes()).await?;
    Message::read(server).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn refused(status: u16, code: &str, message: &str) -> Message {
    let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message});
    Message::answer(status, PROTOCOL, body.to_string())
}

fn cancelled(reasons: &[&str]) -> Message {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            reasons.join(", ")
        ),
        "CancellationReasons": reasons.iter().map(|reason| json!({"Code": reason})).collect::<Vec<_>>(),
    });
    Message::answer(400, PROTOCOL, body.to_string())
}

fn page(status: u16) -> Message {
    let body = format!("<html><head><title>{status}</title></head><body><h1>Nobody is here</h1></body></html>");
    Message::answer(status, "text/html", body)
}

/// Hands the first `count` items of a batch to the server, and the others back.
async fn partly(mut request: Message, count: usize, server: &mut BufReader<TcpStream>) -> io::Result<Message> {
    let mut asked: Value = serde_json::from_slice(&request.body)?;
    let is_writing = request.header("x-amz-target").is_some_and(|target| target.ends_with("BatchWriteItem"));
    let left_name = if is_writing { "UnprocessedItems" } else { "UnprocessedKeys" };
    let mut left = Map::new();
    let mut room = count;
    for (table, items) in asked["RequestItems"].as_object_mut().expect("a batch") {
        let list = if is_writing { &mut *items } else { &mut items["Keys"] };
        let list = list.as_array_mut().expect("items");
        let others = list.split_off(room.min(list.len()));
        room -= list.len();
        if !others.is_empty() {
            let mut rest = items.clone();
            *if is_writing { &mut rest } else { &mut rest["Keys"] } = others.into();
            left.insert(table.clone(), rest);
        }
    }
    let is_empty = |items: &Value| if is_writing { items } else { &items["Keys"] } == &json!([]);
    let tables = asked["RequestItems"].as_object_mut().expect("a batch");
    tables.retain(|_, items| !is_empty(items));
    if tables.is_empty() {
        let mut body = json!({ left_name: left });
        if !is_writing {
            body["Responses"] = json!({});
        }
        return Ok(Message::answer(200, PROTOCOL, body.to_string()));
    }
    request.body = asked.to_string().into_bytes();
    let mut answer = ask(server, &request).await?;
    let mut said: Value = serde_json::from_slice(&answer.body)?;
    said[left_name] = left.into();
    answer.body = said.to_string().into_bytes();
    answer.set("x-amz-crc32", None);
    Ok(answer)
}
