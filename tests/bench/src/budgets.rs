//! How many calls were made at Bitbucket in this hour.

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_local::stack::Stack;
use rollcall_store::Store;
use standin_bitbucket::Control;

/// An hour's calls are enough for so many sign-ins, and some to spare.
pub(crate) const SIGN_INS: usize = 100;

/// Forgets it, at Rollcall and at Bitbucket: more is measured here than Bitbucket allows in an hour.
pub(crate) async fn forget(store: &Store, bitbucket: &Control) {
    bitbucket.forget_calls();
    let client = store.client();
    let mut start = None;
    loop {
        let page = client
            .scan()
            .table_name(store.table())
            .filter_expression("sk = :budget")
            .expression_attribute_values(":budget", AttributeValue::S("budget".to_owned()))
            .set_exclusive_start_key(start)
            .send()
            .await
            .unwrap();
        for row in page.items() {
            let delete = client.delete_item().table_name(store.table());
            delete.key("pk", row["pk"].clone()).key("sk", row["sk"].clone()).send().await.unwrap();
        }
        start = page.last_evaluated_key().cloned();
        if start.is_none() {
            return;
        }
    }
}

/// The same for a whole stack.
pub(crate) async fn forget_all(stack: &Stack) {
    forget(&stack.store, stack.bitbucket.as_ref().unwrap()).await;
}
