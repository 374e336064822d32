//! The event source mapping from the retry queue to the function `retry`, in real time.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;
use world::queue_mapping::QueueMapping;

use crate::deployed::RETRY_CONCURRENCY;
use crate::lambda::Function;
use crate::standin::queues::Queues;

/// Feeds the function until the process ends.
pub(crate) async fn poll(queues: Arc<Queues>, function: Arc<Function>, mapping: QueueMapping) {
    let permits = Arc::new(Semaphore::new(RETRY_CONCURRENCY));
    let mapping = Arc::new(mapping);
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let Some(batch) = queues.poll(&mapping) else {
            drop(permit);
            queues.wait().await;
            continue;
        };
        let (queues, function) = (Arc::clone(&queues), Arc::clone(&function));
        let mapping = Arc::clone(&mapping);
        tokio::spawn(async move {
            let answer = function.invoke(Bytes::from(mapping.event(&batch).to_string())).await;
            queues.settle(&mapping, &batch, answer.ok().as_deref());
            drop(permit);
        });
    }
}
