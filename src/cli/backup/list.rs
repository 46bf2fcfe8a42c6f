//! `backup list`.

use indicatif::HumanBytes;
use serde_json::json;

use super::super::job::time;
use super::super::output::{Output, table};
use super::super::{DONE, REMAINS};
use super::sets::identities;
use crate::backup::{Form, Level, Line, Owner, SetId, Workshop};
use crate::config::Config;
use crate::daemon;
use crate::model::BackendKind;

/// The sets of one deployment.
struct Shown {
    deployment: Owner,
    lines: Vec<Line>,
}

pub(super) async fn list(backend: Option<BackendKind>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let shop = daemon::workshop(config);
    let place = shop.depot()?.describe().to_owned();
    let all = shop.deployments().await?;
    let (own, note) = match identities(backend, config).await {
        Ok(own) => (own.into_iter().map(|(_, identity)| identity.into()).collect(), None),
        Err(error) => (all.clone(), Some(format!("{error:#}"))),
    };
    let mut shown = Vec::new();
    for deployment in own {
        shown.push(Shown { lines: lines(&shop, deployment.clone()).await?, deployment });
    }
    let mut others = Vec::new();
    for deployment in all.iter().filter(|other| !shown.iter().any(|Shown { deployment, .. }| deployment.id == other.id))
    {
        let sets = shop.depot()?.within(&deployment.id.to_string()).below().await?;
        let count = sets.iter().filter(|name| name.parse::<SetId>().is_ok()).count();
        others.push((deployment.id, count));
    }
    let document = json!({
        "place": place,
        "problem": note,
        "deployments": shown.iter()
            .map(|Shown { deployment, lines }| json!({ "deployment": deployment, "sets": lines }))
            .collect::<Vec<_>>(),
        "others": others.iter().map(|(id, sets)| json!({ "deployment": id, "sets": sets })).collect::<Vec<_>>(),
    });
    let is_sound = shown.iter().all(|Shown { lines, .. }| is_sound(lines));
    output.either(&document, || text(&place, note.as_deref(), &shown, &others))?;
    Ok(if is_sound { DONE } else { REMAINS })
}

async fn lines(shop: &Workshop, deployment: Owner) -> anyhow::Result<Vec<Line>> {
    Ok(shop.shelf(deployment)?.entries().await?.iter().map(Line::of).collect())
}

/// Whether nothing is damaged, and the newest set is verified.
fn is_sound(lines: &[Line]) -> bool {
    !lines.iter().any(Line::is_damaged) && lines.last().is_none_or(|last| last.level >= Level::Verified)
}

fn text(place: &str, note: Option<&str>, shown: &[Shown], others: &[(uuid::Uuid, usize)]) -> String {
    let mut text = String::new();
    if let Some(note) = note {
        text.push_str(&format!("Whose is whose is not known, as the deployment does not answer: {note}\n\n"));
    }
    for Shown { deployment, lines } in shown {
        text.push_str(&format!("deployment {} in {place}\n", deployment.id));
        if lines.is_empty() {
            text.push_str("There are no backups.\n\n");
            continue;
        }
        let header = ["set", "kind", "data of", "size", "rows", "state", "drilled", ""];
        text.push_str(&table(header, lines.iter().map(row)));
        text.push('\n');
    }
    if shown.is_empty() {
        text.push_str(&format!("There are no backups in {place}.\n\n"));
    }
    for (id, sets) in others {
        let s = if *sets == 1 { "" } else { "s" };
        text.push_str(&format!("There are {sets} set{s} of another deployment, {id}.\n"));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn row(line: &Line) -> [String; 8] {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let remark = match (&line.unreadable, &line.damage) {
        (Some(why), _) => why.clone(),
        (None, Some(damage)) => damage.what.clone(),
        (None, None) => line.drill.as_ref().and_then(|drill| drill.note.clone()).unwrap_or_default(),
    };
    [
        line.set.to_string(),
        line.form.map(Form::name).unwrap_or_default().to_owned(),
        time(line.taken_at),
        line.size.map(|size| HumanBytes(size).to_string()).unwrap_or_default(),
        number(line.rows),
        if line.is_damaged() { "damaged" } else { line.level.name() }.to_owned(),
        time(line.drill.as_ref().map(|drill| drill.at)),
        remark,
    ]
}
