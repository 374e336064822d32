use super::*;

const CODE: &str = "DEMO0-00001";
const SET_TAGS: &str = "/json/1.3/setTags";
const DELETE: &str = "/api/v2/device-api/deleteUser";

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn later(seconds: u64) -> Timestamp {
    crate::time::after(start(), Duration::from_secs(seconds))
}

fn pushwoosh(options: Options) -> Pushwoosh {
    let mut pushwoosh = Pushwoosh { options, ..Pushwoosh::default() };
    let account = Account { token: Some("t".to_owned()), ..Account::default() };
    pushwoosh.set_account(CODE, account);
    pushwoosh
}

fn post(pushwoosh: &mut Pushwoosh, path: &str, fields: &Value, now: Timestamp) -> (u16, Value) {
    let mut fields = fields.clone();
    fields["application"] = CODE.into();
    let body = if path.starts_with("/json") { json!({ "request": fields }) } else { fields };
    let call = Call { path, authorization: "Token t", size: 0, body: &body };
    let reply = pushwoosh.handle(&call, now, &mut Rng::with_seed(1));
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

fn set_tags(pushwoosh: &mut Pushwoosh, value: u32, now: Timestamp) {
    let answer = post(pushwoosh, SET_TAGS, &json!({"userId": "u", "tags": {"a": value}}), now);
    assert_eq!(answer.0, 200);
}

// Observed by a third party, 2026: HTTP 400 with 210, 401 with its message.
#[test]
fn wrong_calls_are_answered_as_observed() {
    let mut pushwoosh = pushwoosh(Options::default());
    let wrong =
        |message: &str| json!({"status_code": 210, "status_message": message, "response": null});
    let tags = json!({"tags": {}});
    let answer = post(&mut pushwoosh, SET_TAGS, &tags, start());
    assert_eq!(answer, (400, wrong("hwid or userId should be set")));
    let answer = post(&mut pushwoosh, SET_TAGS, &json!({"userId": "u"}), start());
    assert_eq!(answer, (400, wrong("tags should be set")));
    let answer = post(&mut pushwoosh, "/json/1.3/none", &tags, start());
    assert_eq!(answer.0, 404);
    // The documentation has 200 there.
    pushwoosh.options.wrong_argument_status = 200;
    assert_eq!(post(&mut pushwoosh, SET_TAGS, &tags, start()).0, 200);
    pushwoosh.options.wrong_argument_status = 400;
    pushwoosh.set_account(CODE, Account::default());
    let answer = post(&mut pushwoosh, SET_TAGS, &json!({"userId": "u", "tags": {}}), start());
    assert_eq!(answer, (401, json!({"message": "unauthorized"})));
    pushwoosh.remove_account(CODE);
    let answer = post(&mut pushwoosh, SET_TAGS, &tags, start());
    assert_eq!(answer, (400, wrong("application code is not valid")));
}

// pushwoosh-react-native-plugin#15: unknown tags are skipped under 200.
#[test]
fn unknown_tags_are_skipped_and_the_others_are_set() {
    let mut pushwoosh = pushwoosh(Options::default());
    let token = Some("t".to_owned());
    let unknown_tags = vec!["b".to_owned()];
    pushwoosh.set_account(CODE, Account { token, unknown_tags, ..Account::default() });
    let fields = json!({"userId": "u", "tags": {"a": 1, "b": 2}});
    let (status, answer) = post(&mut pushwoosh, SET_TAGS, &fields, start());
    assert_eq!(status, 200);
    assert_eq!(answer["response"], json!({"skipped": [{"tag": "b", "reason": "Not found"}]}));
    assert_eq!(Value::from(pushwoosh.user(CODE, "u").unwrap().tags.clone()), json!({"a": 1}));
}

// help 36360128237213: setTags answers 200 when the request is queued.
#[test]
fn tags_are_set_after_the_answer() {
    let options = Options { queue_delay: Duration::from_mins(1), ..Options::default() };
    let mut pushwoosh = pushwoosh(options);
    set_tags(&mut pushwoosh, 1, start());
    assert_eq!((pushwoosh.user(CODE, "u"), pushwoosh.queued()), (None, 1));
    pushwoosh.advance(later(60));
    assert_eq!(
        (pushwoosh.user(CODE, "u").unwrap().tags["a"].clone(), pushwoosh.queued()),
        (json!(1), 0)
    );
}

#[test]
fn whether_the_queue_keeps_the_order_is_an_option() {
    let last = |queue_in_order| {
        let options =
            Options { queue_delay: Duration::from_mins(1), queue_in_order, ..Options::default() };
        let mut pushwoosh = pushwoosh(options);
        let mut rng = Rng::with_seed(1);
        (0..50).any(|_| {
            for value in [1, 2] {
                let body = json!({"application": CODE, "userId": "u", "tags": {"a": value}});
                let call = Call { path: SET_TAGS, authorization: "Token t", size: 0, body: &body };
                pushwoosh.handle(&call, start(), &mut rng);
            }
            pushwoosh.advance(later(60));
            pushwoosh.user(CODE, "u").unwrap().tags["a"] == 1
        })
    };
    assert!(!last(true));
    assert!(last(false), "an older value stays");
}

// api-reference/user-centric-api, deleteUser: the user and all of its devices, in the background.
#[test]
fn a_deletion_removes_the_user_its_tags_and_its_devices() {
    let mut pushwoosh = pushwoosh(Options::default());
    let device = json!({"hwid": "H1", "device_type": 1, "push_token": "p", "userId": "u"});
    post(&mut pushwoosh, "/json/1.3/registerDevice", &device, start());
    post(
        &mut pushwoosh,
        "/json/1.3/registerEmail",
        &json!({"email": "a@b.c", "userId": "u"}),
        start(),
    );
    post(&mut pushwoosh, "/json/1.3/registerUser", &json!({"hwid": "H2", "userId": "v"}), start());
    set_tags(&mut pushwoosh, 1, start());
    assert_eq!(pushwoosh.device(CODE, "H1").unwrap().push_token.as_deref(), Some("p"));
    let answer = post(&mut pushwoosh, DELETE, &json!({"user_id": "u"}), start());
    assert_eq!(answer, (200, json!({})));
    assert_eq!((pushwoosh.user(CODE, "u"), pushwoosh.device(CODE, "H1")), (None, None));
    assert_eq!(pushwoosh.device(CODE, "a@b.c"), None);
    assert!(pushwoosh.device(CODE, "H2").is_some());
    // Whether it exists is not asked.
    assert_eq!(post(&mut pushwoosh, DELETE, &json!({"user_id": "u"}), start()).0, 200);
}

#[test]
fn what_is_sent_after_a_deletion_brings_the_user_back() {
    let mut pushwoosh = pushwoosh(Options::default());
    post(&mut pushwoosh, DELETE, &json!({"user_id": "u"}), start());
    set_tags(&mut pushwoosh, 1, start());
    assert!(pushwoosh.user(CODE, "u").is_some());
}

// knowledge-hub/users-userids: a user exists only while a device is linked. An option.
#[test]
fn whether_tags_create_a_user_without_devices_is_an_option() {
    for users_without_devices in [true, false] {
        let mut pushwoosh = pushwoosh(Options { users_without_devices, ..Options::default() });
        set_tags(&mut pushwoosh, 1, start());
        assert_eq!(pushwoosh.user(CODE, "u").is_some(), users_without_devices);
        post(
            &mut pushwoosh,
            "/json/1.3/registerUser",
            &json!({"hwid": "H", "userId": "u"}),
            start(),
        );
        set_tags(&mut pushwoosh, 1, start());
        assert_eq!(pushwoosh.user(CODE, "u").unwrap().tags["a"], 1);
    }
}

#[test]
fn a_device_belongs_to_one_user_at_a_time() {
    let mut pushwoosh = pushwoosh(Options::default());
    for user in ["u", "v"] {
        let fields = json!({"hwid": "H", "userId": user});
        post(&mut pushwoosh, "/json/1.3/registerUser", &fields, start());
    }
    assert_eq!(pushwoosh.device(CODE, "H").unwrap().user.as_deref(), Some("v"));
}

// guides/…/events: events must exist; what is answered for others is not documented.
#[test]
fn whether_unknown_events_are_taken_is_an_option() {
    let mut pushwoosh = pushwoosh(Options::default());
    let event = json!({"userId": "u", "event": "E", "attributes": {"x": 1}, "timestampUTC": 7});
    let (status, answer) = post(&mut pushwoosh, "/json/1.3/postEvent", &event, start());
    assert_eq!((status, &answer["response"]), (200, &json!({"code": null})));
    let token = Some("t".to_owned());
    let known_events = Some(vec!["F".to_owned()]);
    pushwoosh.set_account(CODE, Account { token, known_events, ..Account::default() });
    let (status, answer) = post(&mut pushwoosh, "/json/1.3/postEvent", &event, start());
    assert_eq!((status, &answer["status_code"]), (400, &json!(210)));
    let events: Vec<&Event> = pushwoosh.events(CODE).collect();
    assert_eq!((events.len(), events[0].timestamp), (1, Some(7)));
}

#[test]
fn memory_is_bounded() {
    let mut pushwoosh = pushwoosh(Options { kept: 20, kept_events: 10, ..Options::default() });
    for number in 0..1_000 {
        let user = number.to_string();
        let event = json!({"userId": user, "event": "E", "attributes": {}});
        post(&mut pushwoosh, "/json/1.3/postEvent", &event, start());
        post(&mut pushwoosh, SET_TAGS, &json!({"userId": user, "tags": {}}), start());
        post(&mut pushwoosh, SET_TAGS, &json!({"hwid": user, "tags": {}}), start());
    }
    assert!(pushwoosh.users(CODE).count() <= 20);
    assert_eq!(pushwoosh.events(CODE).count(), 10);
    assert!(pushwoosh.user(CODE, "999").is_some());
}

// docs.pushwoosh.com/developer/api-reference/tags: listTags takes the Server token, for the account.
#[test]
fn tags_are_listed_with_their_types_for_the_server_token() {
    let mut pushwoosh = pushwoosh(Options::default());
    let account = |tags: Option<&[(&str, TagType)]>| Account {
        token: Some("t".to_owned()),
        server_token: Some("server".to_owned()),
        tags: tags
            .map(|tags| tags.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()),
        ..Account::default()
    };
    let list = |pushwoosh: &mut Pushwoosh, token: &str| {
        post(pushwoosh, "/json/1.3/listTags", &json!({ "auth": token }), start())
    };
    pushwoosh.set_account(CODE, account(Some(&[("Plan", TagType::String)])));
    assert_eq!(list(&mut pushwoosh, "t").0, 401, "the Device token");
    let (status, answer) = list(&mut pushwoosh, "server");
    assert_eq!(status, 200);
    let tags = answer["response"]["tags"].as_array().unwrap();
    assert!(tags.contains(&json!({"name": "Plan", "type": 2})), "{tags:?}");
    assert!(tags.contains(&json!({"name": "Language", "type": 2})), "{tags:?}");
    // Without a list every tag exists.
    pushwoosh.set_account(CODE, account(None));
    let fields = json!({"userId": "u", "tags": {"new": ["a"]}});
    post(&mut pushwoosh, SET_TAGS, &fields, start());
    let (_, answer) = list(&mut pushwoosh, "server");
    assert!(
        answer["response"]["tags"].as_array().unwrap().contains(&json!({"name": "new", "type": 3}))
    );
}

// docs.pushwoosh.com/developer/api-reference/tags and …/events: addTag and createEvent.
#[test]
fn tags_and_events_are_made_with_the_server_token() {
    let mut pushwoosh = pushwoosh(Options::default());
    let (token, server_token) = (Some("t".to_owned()), Some("server".to_owned()));
    let (tags, known_events) = (Some(BTreeMap::new()), Some(Vec::new()));
    let account = Account { token, server_token, tags, known_events, ..Account::default() };
    pushwoosh.set_account(CODE, account);
    let call = |pushwoosh: &mut Pushwoosh, path: &str, fields: Value| {
        post(pushwoosh, path, &fields, start())
    };
    let add = "/json/1.3/addTag";
    let tag = json!({"name": "a", "type": 1});
    assert_eq!(call(&mut pushwoosh, add, json!({"auth": "t", "tag": tag})).0, 401);
    assert_eq!(call(&mut pushwoosh, add, json!({"auth": "server", "tag": {"name": "a"}})).0, 400);
    assert_eq!(
        call(&mut pushwoosh, add, json!({"auth": "server", "tag": tag})).1["response"],
        json!({"result": true})
    );
    set_tags(&mut pushwoosh, 1, start());
    assert_eq!(pushwoosh.user(CODE, "u").unwrap().tags["a"], 1);
    let create = "/json/1.3/createEvent";
    let event = |name: &str| json!({"auth": "server", "application": CODE, "name": name, "eventAttributes": [{"name": "x", "type": 2}]});
    assert_eq!(call(&mut pushwoosh, create, event(&"n".repeat(33))).0, 400);
    assert_eq!(call(&mut pushwoosh, create, event("E")).0, 200);
    let posted = json!({"event": "E", "attributes": {}, "userId": "u"});
    assert_eq!(call(&mut pushwoosh, "/json/1.3/postEvent", posted).0, 200);
}

// pushwoosh-react-native-plugin#43: a value of another type seems to be skipped, too.
#[test]
fn values_of_another_type_are_skipped() {
    let mut pushwoosh = pushwoosh(Options::default());
    let kinds = [
        ("n", TagType::Integer),
        ("s", TagType::String),
        ("l", TagType::List),
        ("p", TagType::Price),
        ("v", TagType::Version),
    ];
    let tags = Some(kinds.map(|(name, kind)| (name.to_owned(), kind)).into());
    let account = Account { token: Some("t".to_owned()), tags, ..Account::default() };
    pushwoosh.set_account(CODE, account);
    let skipped = |pushwoosh: &mut Pushwoosh, tags: Value| {
        let fields = json!({"userId": "u", "tags": tags});
        let (_, answer) = post(pushwoosh, SET_TAGS, &fields, start());
        answer["response"]["skipped"].as_array().map_or(0, Vec::len)
    };
    let right = json!({"n": 5, "s": "x", "l": ["a"], "p": "1.99", "v": "1.0.2", "Language": "en"});
    assert_eq!(skipped(&mut pushwoosh, right), 0);
    let wrong = json!({"n": 5_000_000_000_u64, "s": 5, "l": "a", "p": "x", "v": "a.b", "none": 1});
    assert_eq!(skipped(&mut pushwoosh, wrong), 6);
    let removed = json!({"n": null, "l": {"operation": "append", "value": ["b"]}});
    assert_eq!(skipped(&mut pushwoosh, removed), 0);
}

// Pushwoosh's own web SDK: checkDevice reads, and changes nothing.
#[test]
fn a_device_can_be_asked_for() {
    let mut pushwoosh = pushwoosh(Options::default());
    let check = |pushwoosh: &mut Pushwoosh| {
        let fields = json!({"application": CODE, "hwid": "h"});
        post(pushwoosh, "/json/1.3/checkDevice", &fields, start()).1["response"].clone()
    };
    assert_eq!(check(&mut pushwoosh), json!({"exist": false, "push_token_exist": false}));
    assert!(pushwoosh.device(CODE, "h").is_none());
    let device = json!({"hwid": "h", "device_type": 1, "push_token": "p"});
    post(&mut pushwoosh, "/json/1.3/registerDevice", &device, start());
    assert_eq!(check(&mut pushwoosh), json!({"exist": true, "push_token_exist": true}));
}
