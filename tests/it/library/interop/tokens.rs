//! A refresh token is taken once, whoever wrote it and whoever takes it.

use actingweb_maintd::model::{clock, json};
use actingweb_maintd::storage::{AttributeKey, NewValue};
use serde_json::Value;

use super::place::{Kind, Place};

#[tokio::test]
async fn a_refresh_token_is_taken_once_by_either_side() {
    for kind in [Kind::Postgresql, Kind::InProcess, Kind::Ministack] {
        let place = Place::of_ours(kind).await;
        let now = clock::now().timestamp();
        let data = format!(
            "{{\"identifier\": \"ål@example.com\", \"actor_id\": \"actor-1\", \"created_at\": {now}, \
             \"expires_at\": {}, \"used\": false, \"rate\": 1e-05, \"chain_id\": \"chain\"}}",
            now + 1000
        );
        let value = NewValue { data: &parsed(&data), timestamp: None, ttl_seconds: Some(1000) };
        place.store().set_attribute(key("ours"), &value).await.unwrap();

        let by_library = rotated(&place, "ours").await;
        assert_eq!((&by_library["taken"], &by_library["again"]), (&true.into(), &false.into()), "{by_library}");
        assert_eq!(by_library["data"]["identifier"], "ål@example.com");
        assert_eq!(by_library["used"]["used"], true);
        // What was taken is kept for two days, so that whoever takes it again is found out.
        let left = place.store().attribute(key("ours")).await.unwrap().expect("it is kept");
        let lives = left.ttl_timestamp.expect("not for ever") - now - 3600;
        assert!((2 * 86400..2 * 86400 + 60).contains(&lives), "{lives}");

        let theirs = by_library["made"].as_str().expect("a token").to_owned();
        let unused = place.store().attribute(key(&theirs)).await.unwrap().expect("a token").data.expect("data");
        let used = parsed(&unused.to_string().replace("\"used\": false", "\"used\": true"));
        assert_ne!(used, unused);
        let value = NewValue { data: &used, timestamp: None, ttl_seconds: None };
        assert!(place.store().swap_attribute(key(&theirs), &unused, &value).await.unwrap());
        assert!(!place.store().swap_attribute(key(&theirs), &unused, &value).await.unwrap());
        let by_library = rotated(&place, &theirs).await;
        assert_eq!(by_library["taken"], false, "{by_library}");
        assert_eq!(by_library["data"]["used"], true);
    }
}

async fn rotated(place: &Place, token: &str) -> Value {
    place.python_with("tokens", vec![("TOKEN", Some(token.to_owned()))]).await
}

fn key(name: &str) -> AttributeKey<'_> {
    AttributeKey { id: "_actingweb_oauth2", bucket: "spa_refresh_tokens", name }
}

fn parsed(text: &str) -> json::Value {
    json::parse(text).expect("JSON")
}
