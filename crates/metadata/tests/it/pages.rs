//! Lists: complete in pages, and only what the requester may see.

use std::collections::BTreeSet;

use domain::rate::RateKind;
use domain::tree::OrganizationKind;
use metadata::{
    ExportFilter, ExportKind, ExportSource, Metadata, NewExport, NewKey, Page, PageRequest, Result,
    Role,
};

use crate::world::{World, at, meter, node, organization, rate};

/// Reads a list in pages of three and gives what it saw, in order.
async fn walk<T>(read: impl AsyncFn(PageRequest) -> Result<Page<T>>) -> Vec<T> {
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = read(PageRequest::new(after, 3).unwrap()).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items);
        let Some(next) = page.next else {
            return seen;
        };
        // As the wire does it.
        after = Some(next.to_string().parse().unwrap());
    }
}

fn distinct<T>(items: &[T], key: impl Fn(&T) -> String) -> usize {
    items.iter().map(key).collect::<BTreeSet<_>>().len()
}

async fn filled(metadata: Metadata) -> World {
    let world = World::create(metadata).await;
    world
        .change(async |change| {
            for number in 10..14 {
                let mut new = node(
                    organization(number),
                    OrganizationKind::SubOrganization,
                    &format!("More subs {number}"),
                    Some(world.sandbox),
                );
                new.aliases = vec![format!("alias {number}"), format!("also {number}")];
                change.insert_organization(world.account, new).await?;
                let meter = meter(number, &format!("meter-{number}"));
                change.insert_meter(world.account, &meter).await?;
                let mut money = rate(number, meter.id, None, "1");
                money.kind = RateKind::Money;
                money.currency = Some("USD".to_owned());
                change.insert_rate(world.account, &money).await?;
            }
            Ok(())
        })
        .await;
    for number in 0..7_u8 {
        let user = world.user(&format!("user {number}"), world.sandbox).await;
        let key = NewKey {
            id: None,
            secret_sha256: [number; 32],
            name: user.name,
            organization: world.sandbox,
            role: Role::Writer,
            expires_at: None,
        };
        world.metadata.insert_key(key, at(0)).await.unwrap();
        let request = NewExport {
            source: ExportSource::Own,
            ..world.request(world.sandbox, ExportKind::Usage)
        };
        // Two of each instant, so that the order needs more than the time.
        let created_at = at(i64::from(number / 2));
        world
            .metadata
            .insert_export(request, created_at)
            .await
            .unwrap();
        let key = format!("subject {number}");
        let subject = world
            .metadata
            .put_subject(world.root, &key, Some("x"), None, at(0));
        subject.await.unwrap();
    }
    world
}

pub(crate) async fn every_list_comes_in_pages_without_gaps_or_repeats(metadata: Metadata) {
    let world = filled(metadata).await;
    World::numbered(world.metadata.clone(), 100).await;
    let (metadata, root, account, now) = (&world.metadata, world.root, world.account, at(0));

    let organizations =
        walk(async |page| metadata.list_organizations(root, now, &page).await).await;
    assert_eq!(distinct(&organizations, |one| one.id.to_string()), 8);
    let named = organizations.iter().find(|one| one.id == organization(11));
    assert_eq!(named.unwrap().aliases, ["alias 11", "also 11"]);
    let users = walk(async |page| metadata.list_users(root, now, &page).await).await;
    assert_eq!(
        (users.len(), distinct(&users, |user| user.name.clone())),
        (7, 7)
    );
    let keys = walk(async |page| metadata.list_keys(root, now, &page).await).await;
    assert_eq!(
        (keys.len(), distinct(&keys, |key| key.name.clone())),
        (7, 7)
    );
    let control = metadata.snapshot(account, None).await.unwrap();
    let meters = walk(async |page| metadata.list_meters(&control, &page).await).await;
    assert_eq!(
        (
            meters.len(),
            distinct(&meters, |one| one.meter.slug.clone())
        ),
        (5, 5)
    );
    let rates = walk(async |page| metadata.list_rates(&control, &page).await).await;
    assert_eq!(
        (rates.len(), distinct(&rates, |one| one.rate.id.to_string())),
        (5, 5)
    );
    let subjects = walk(async |page| metadata.list_subjects(root, now, &page).await).await;
    assert_eq!(
        (subjects.len(), distinct(&subjects, |one| one.key.clone())),
        (7, 7)
    );
    let accounts = walk(async |page| metadata.list_accounts(&page).await).await;
    assert_eq!(accounts.len(), 2);

    let exports = walk(async |page| {
        metadata
            .list_exports(root, now, ExportFilter::default(), &page)
            .await
    })
    .await;
    assert_eq!(
        (exports.len(), distinct(&exports, |one| one.id.to_string())),
        (7, 7)
    );
    let newest_first = exports.windows(2);
    assert!(
        newest_first
            .clone()
            .all(|pair| pair[0].created_at >= pair[1].created_at)
    );
    let first = PageRequest::new(None, 3).unwrap();
    let keys = metadata.list_keys(root, now, &first).await.unwrap();
    let foreign = PageRequest::new(keys.next, 3).unwrap();
    assert!(
        metadata
            .list_exports(root, now, ExportFilter::default(), &foreign)
            .await
            .is_err()
    );
}

pub(crate) async fn lists_show_only_what_lies_below_the_requester(metadata: Metadata) {
    let world = filled(metadata).await;
    world
        .change(async |change| {
            let sub = organization(10);
            change
                .move_organization(sub, world.additional, Some(at(100)))
                .await
        })
        .await;
    let metadata = &world.metadata;
    let seen = async |requester, second| {
        let page = PageRequest::default();
        let now = at(second);
        let organizations = metadata
            .list_organizations(requester, now, &page)
            .await
            .unwrap();
        let users = metadata.list_users(requester, now, &page).await.unwrap();
        let keys = metadata.list_keys(requester, now, &page).await.unwrap();
        let exports = metadata
            .list_exports(requester, now, ExportFilter::default(), &page)
            .await
            .unwrap();
        [
            organizations.items.len(),
            users.items.len(),
            keys.items.len(),
            exports.items.len(),
        ]
    };
    assert_eq!(seen(world.root, 0).await, [8, 7, 7, 7]);
    assert_eq!(seen(world.sandbox, 0).await, [5, 7, 7, 7]);
    assert_eq!(seen(world.sandbox, 100).await, [4, 7, 7, 7]);
    assert_eq!(seen(world.additional, 0).await, [2, 0, 0, 0]);
    assert_eq!(seen(world.additional, 100).await, [3, 0, 0, 0]);
    assert_eq!(seen(world.sub, 0).await, [1, 0, 0, 0]);
}
