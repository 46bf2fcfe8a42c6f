//! Tokens, sessions and index entries of every kind and age, chosen by a seed. No moment lies near a line,
//! so that it does not matter in which second somebody looks.

use actingweb_maintd::model::row::Attribute;
use actingweb_maintd::model::{Record, Row, clock, json};
use fastrand::Rng;
use serde_json::{Value, json};

const COMMON: &str = "_actingweb_oauth2";

/// What the rows are made of.
pub(super) struct Scene {
    rng: Rng,
    now: i64,
    /// Whether there is also what the library would not write, and what it would clean up though it
    /// should not.
    odd: bool,
    rows: Vec<Attribute>,
}

impl Scene {
    pub(super) fn new(seed: u64, odd: bool) -> Self {
        let mut scene = Self { rng: Rng::with_seed(seed), now: clock::now().timestamp(), odd, rows: Vec::new() };
        for n in 0..60 {
            scene.dated(COMMON, "_oauth_sessions", n, "created_at", -600);
            scene.dated(COMMON, "spa_access_tokens", n, "expires_at", 0);
            scene.dated(COMMON, "_apple_exchange_tickets", n, "expires_at", 0);
            scene.refresh_token(COMMON, "spa_refresh_tokens", n);
            scene.indexed("mcp_tokens", "_access_token_index", n);
            scene.indexed("mcp_refresh_tokens", "_refresh_token_index", n);
            scene.indexed("mcp_auth_codes", "_auth_code_index", n);
            scene.client(n);
            scene.decoy(n);
        }
        scene
    }

    pub(super) fn records(self) -> Vec<Record> {
        self.rows.into_iter().map(|row| Record::from(Row::Attribute(row))).collect()
    }

    /// A moment at which something ends: long ago, within the hour of grace, or later.
    fn end(&mut self) -> i64 {
        let from_now = match self.rng.u8(0..10) {
            0..=4 => -self.rng.i64(4_200..9_000_000),
            // The library has no such hour.
            5 | 6 if self.odd => -self.rng.i64(300..3_000),
            _ => self.rng.i64(600..9_000_000),
        };
        self.now + from_now
    }

    fn any(&mut self, texts: &[&str]) -> Value {
        serde_json::from_str(texts[self.rng.usize(0..texts.len())]).expect("JSON")
    }

    fn add(&mut self, id: &str, bucket: &str, name: &str, data: &Value, ttl: Option<i64>) {
        let data = json::parse(&data.to_string()).expect("JSON");
        let new = Attribute::new(id, bucket, name, Some(data));
        self.rows.push(Attribute { ttl_timestamp: ttl, ..new });
    }

    /// Most rows have no TTL; with one it is what the library would have made of the end.
    fn ttl(&mut self, end: i64) -> Option<i64> {
        match self.rng.u8(0..10) {
            0..=5 => None,
            6 if self.odd => Some(self.end()),
            _ => Some(end + 3600),
        }
    }

    fn dated(&mut self, id: &str, bucket: &str, n: usize, field: &str, lasts: i64) {
        let end = self.end();
        let mut data = json!({ "actor_id": "a", field: end + lasts, "n": n });
        if self.odd && self.rng.u8(0..4) == 0 {
            let value = self.any(&["null", "true", "\"1\"", "[1]", "0", "-5", "1.5", "1500000000.25"]);
            data[field] = value;
            if self.rng.bool() {
                data.as_object_mut().expect("an object").remove(field);
            }
            if self.rng.u8(0..4) == 0 {
                data = self.any(&["1", "\"text\"", "[1]", "null"]);
            }
        }
        let ttl = self.ttl(end);
        self.add(id, bucket, &format!("token {n}"), &data, ttl);
    }

    fn refresh_token(&mut self, id: &str, bucket: &str, n: usize) {
        let expires_at = self.end();
        let mut data = json!({ "expires_at": expires_at, "used": false, "chain_id": "c", "n": n });
        let mut end = expires_at;
        if self.rng.bool() {
            let used_at = self.end() - 172_800;
            data["used"] = true.into();
            data["used_at"] = used_at.into();
            end = used_at + 172_800;
            if !self.odd && end > self.now {
                data["expires_at"] = (self.now + 1_000).into();
            }
        }
        if self.odd && self.rng.u8(0..4) == 0 {
            let field = ["used", "used_at", "expires_at"][self.rng.usize(0..3)];
            data[field] = self.any(&["null", "1", "\"no\"", "\"1\"", "[]", "0"]);
        }
        let ttl = self.ttl(end);
        self.add(id, bucket, &format!("token {n}"), &data, ttl);
    }

    /// A token of an actor with its index entry, or one of the two.
    fn indexed(&mut self, bucket: &str, index: &str, n: usize) {
        let actor = format!("actor-{}", self.rng.u8(0..5));
        let name = format!("token {n}");
        let exists = self.rng.u8(0..4) > 0;
        if exists {
            if bucket == "mcp_refresh_tokens" {
                self.refresh_token(&actor, bucket, n);
            } else {
                self.dated(&actor, bucket, n, "expires_at", 0);
            }
            self.provider_token(&actor, bucket);
        } else if self.odd && self.rng.u8(0..4) == 0 {
            // Another row has its key.
            let (first, rest) = (format!("{bucket}:token {n}"), "x".to_owned());
            self.add(&actor, &first, &rest, &json!({ "expires_at": 1 }), None);
            self.rows.push(Attribute {
                id: actor.clone(),
                bucket_name: format!("{bucket}:odd:{n}"),
                bucket: format!("{bucket}:odd"),
                name: n.to_string(),
                ..Attribute::default()
            });
            let ttl = self.index_ttl();
            self.add(COMMON, index, &format!("odd:{n}"), &json!(actor), ttl);
        }
        if self.rng.u8(0..8) > 0 {
            let mut data = json!(actor);
            if self.odd && self.rng.u8(0..5) == 0 {
                data = self.any(&["null", "\"\"", "0", "{}", "[]", "7", "true", "{\"actor_id\": \"a\"}", "\"nobody\""]);
            }
            let ttl = self.index_ttl();
            self.add(COMMON, index, &name, &data, ttl);
        }
    }

    fn index_ttl(&mut self) -> Option<i64> {
        let end = self.end();
        self.rng.bool().then_some(end)
    }

    /// Gives the access token that was made last a provider token, perhaps one that it shares.
    fn provider_token(&mut self, actor: &str, bucket: &str) {
        if bucket != "mcp_tokens" || self.rng.bool() {
            return;
        }
        let name = format!("google_token_access_{}", self.rng.u8(0..if self.odd { 20 } else { 255 }));
        if let Some(json::Value::Object(pairs)) = self.rows.last_mut().and_then(|row| row.data.as_mut()) {
            pairs.push(("google_token_key".into(), json::Value::String(name.as_str().into())));
        }
        if self.rng.u8(0..4) > 0 {
            let end = self.end();
            let ttl = self.ttl(end);
            self.add(actor, "mcp_google_tokens", &name, &json!({ "access_token": "p" }), ttl);
        }
    }

    fn client(&mut self, n: usize) {
        let (actor, name) = (format!("actor-{}", self.rng.u8(0..5)), format!("client {n}"));
        if self.rng.bool() {
            let data = json!({ "client_id": name, "expires_at": 1 });
            let ttl = if self.odd && self.rng.bool() { Some(1) } else { None };
            self.add(&actor, "mcp_clients", &name, &data, ttl);
        }
        let mut data = json!(actor);
        if self.odd && self.rng.u8(0..5) == 0 {
            data = self.any(&["null", "\"\"", "7", "{\"actor_id\": \"a\"}"]);
        }
        self.add(COMMON, "_client_index", &name, &data, None);
    }

    /// What looks like one of these rows and is none.
    fn decoy(&mut self, n: usize) {
        let old = json!({ "expires_at": 1, "created_at": 1, "used": false });
        let (id, bucket) = [
            ("actor-1", "spa_access_tokens"),
            ("actor-1", "_oauth_sessions"),
            ("actor-1", "_access_token_index"),
            (COMMON, "mcp_tokens"),
            (COMMON, "mcp_google_tokens"),
            (COMMON, "spa_access_tokens2"),
            (COMMON, "_oauth_state_nonces"),
            (COMMON, "_id_token_replay"),
            ("_actingweb_system", "_email_verify_tokens"),
            ("_actingweb_system", "spa_refresh_tokens"),
            ("_actingweb_deleted", "_deleted_actors"),
            ("actor-2", "mcp_tokens:x"),
            ("actor-2", "MCP_TOKENS"),
            ("actor-3", "app"),
        ][self.rng.usize(0..14)];
        let data = if bucket.ends_with("index") { json!("nobody") } else { old };
        self.add(id, bucket, &format!("decoy {n}"), &data, None);
    }
}
